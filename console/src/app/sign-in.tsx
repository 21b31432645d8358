/** Asks for a key, and tries it before it is kept. */
import { useSignal } from "@preact/signals";
import { key, setKey, signInReason } from "../api/key.ts";
import { request, UNAUTHORIZED } from "../api/request.ts";
import { messageOf, ServerError } from "../api/server-error.ts";
import { Button } from "../components/button.tsx";
import { Dialog } from "../components/dialog.tsx";
import { TextField } from "../components/field.tsx";

export function SignIn() {
  // In the server's words, unless all that is wrong is that there was none.
  const hadKey = key.value !== null && signInReason.value !== "";
  const given = useSignal("");
  const problem = useSignal<string | null>(null);
  const isTrying = useSignal(false);
  const close = () => (signInReason.value = null);
  const onSubmit = async (event: Event) => {
    event.preventDefault();
    const wanted = given.value.trim();
    if (wanted === "") {
      problem.value = "A key begins with sdb_.";
      return;
    }
    isTrying.value = true;
    problem.value = await problemWith(wanted);
    isTrying.value = false;
    if (problem.value !== null) return;
    setKey(wanted);
    close();
  };
  return (
    <Dialog title="Sign in" onClose={close}>
      <form onSubmit={onSubmit}>
        <p class="muted">
          This server asks for a key, and shows what that may see. Whoever runs it makes keys with{" "}
          <code>stock-db-server keys add</code>.
        </p>
        {hadKey && (
          <p role="alert" class="down">
            {signInReason.value}
          </p>
        )}
        <KeptAs />
        <TextField
          label="Key"
          type="password"
          autocomplete="current-password"
          value={given.value}
          onChange={(text) => {
            given.value = text;
            problem.value = null;
          }}
          problem={problem.value}
          hint="It stays in this tab and is forgotten when you close it."
        />
        <div class="actions">
          <Button onClick={close}>Cancel</Button>
          <Button kind="primary" type="submit" disabled={isTrying.value}>
            {isTrying.value ? "Trying…" : "Sign in"}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

/** A manager of passwords keeps the key under this name. */
function KeptAs() {
  return (
    <input
      class="hidden-visually"
      autocomplete="username"
      value="stock-db"
      readOnly
      tabIndex={-1}
      aria-hidden
    />
  );
}

/** @returns null: none. */
async function problemWith(wanted: string): Promise<string | null> {
  try {
    await request("v1/tickers", {
      params: { limit: 1 },
      headers: { Authorization: `Bearer ${wanted}` },
    });
    return null;
  } catch (error) {
    // A key that may do other things than read is a key all the same.
    if (error instanceof ServerError && error.status !== UNAUTHORIZED && error.status !== 0) return null;
    return messageOf(error);
  }
}
