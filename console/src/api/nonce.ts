/** What the policy of the page wants on a style sheet that is made while it runs. */
export function cspNonce(): string {
  // Scripts read the nonce as a property; the attribute is hidden from them.
  return document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce ?? "";
}
