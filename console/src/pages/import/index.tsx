/** PLACEHOLDER: this page is being built. */
export default function ImportPage() {
  return (
    <section class="page">
      <div class="page-head">
        <h1>Import and export</h1>
      </div>
      <p class="muted">This page is being built.</p>
    </section>
  );
}
