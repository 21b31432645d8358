/** PLACEHOLDER: this page is being built. */
export default function OperationsPage() {
  return (
    <section class="page">
      <div class="page-head">
        <h1>Operations</h1>
      </div>
      <p class="muted">This page is being built.</p>
    </section>
  );
}
