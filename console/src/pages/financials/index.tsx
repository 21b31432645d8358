/** PLACEHOLDER: this page is being built. */
export default function FinancialsPage() {
  return (
    <section class="page">
      <div class="page-head">
        <h1>Financials</h1>
      </div>
      <p class="muted">This page is being built.</p>
    </section>
  );
}
