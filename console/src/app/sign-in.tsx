/** Asks for a key, and tries it before it is kept. */
import { useSignal } from "@preact/signals";
import { setKey, signInReason } from "../api/key.ts";
import { request, UNAUTHORIZED } from "../api/request.ts";
import { messageOf, ServerError } from "../api/server-error.ts";
import { Button } from "../components/button.tsx";
import { Dialog } from "../components/dialog.tsx";
import { TextField } from "../components/field.tsx";

export function SignIn() {
  const given = useSignal("");
  const problem = useSignal<string | null>(null);
  const isTrying = useSignal(false);
  const close = () => (signInReason.value = null);
  const onSubmit = async (event: Event) => {
    event.preventDefault();
    const key = given.value.trim();
    if (key === "") {
      problem.value = "A key begins with sdb_.";
      return;
    }
    isTrying.value = true;
    problem.value = await problemWith(key);
    isTrying.value = false;
    if (problem.value !== null) return;
    setKey(key);
    close();
  };
  return (
    <Dialog title="Sign in" onClose={close}>
      <form onSubmit={onSubmit}>
        <p class="muted">
          {signInReason.value || "With a key you see what it may see."} Whoever runs the server makes keys
          with <code>stock-db-server keys add</code>.
        </p>
        {/* A manager of passwords keeps the key under this name. */}
        <input
          class="hidden-visually"
          autocomplete="username"
          value="stock-db"
          readOnly
          tabIndex={-1}
          aria-hidden
        />
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

/** @returns null: none. */
async function problemWith(key: string): Promise<string | null> {
  try {
    await request("v1/tickers", {
      params: { limit: 1 },
      headers: { Authorization: `Bearer ${key}` },
    });
    return null;
  } catch (error) {
    // A key that may do other things than read is a key all the same.
    if (error instanceof ServerError && error.status !== UNAUTHORIZED && error.status !== 0) return null;
    return messageOf(error);
  }
}
