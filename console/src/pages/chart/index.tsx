/** PLACEHOLDER: this page is being built. */
export default function ChartPage() {
  return (
    <section class="page">
      <div class="page-head">
        <h1>Chart</h1>
      </div>
      <p class="muted">This page is being built.</p>
    </section>
  );
}
