/** PLACEHOLDER: this page is being built. */
export default function ActionsPage() {
  return (
    <section class="page">
      <div class="page-head">
        <h1>Corporate actions</h1>
      </div>
      <p class="muted">This page is being built.</p>
    </section>
  );
}
