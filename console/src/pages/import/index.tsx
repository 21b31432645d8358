/** Files into the database, with the plan shown before; and rows out of it, as files. */
import { ExportForm } from "./export-form.tsx";
import { ImportForm } from "./import-form.tsx";
import "./import.css";

export default function ImportPage() {
  return (
    <section class="page import-page">
      <div class="page-head">
        <h1>Import and export</h1>
      </div>
      <ImportForm />
      <ExportForm />
    </section>
  );
}
