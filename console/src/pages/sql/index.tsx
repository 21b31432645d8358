/** PLACEHOLDER: this page is being built. */
export default function SqlPage() {
  return (
    <section class="page">
      <div class="page-head">
        <h1>SQL</h1>
      </div>
      <p class="muted">This page is being built.</p>
    </section>
  );
}
