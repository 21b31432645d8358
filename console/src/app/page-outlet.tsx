/** The page of the address, loaded when it is first shown. */
import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { session } from "../api/key.ts";
import { Failure, Loading, Note } from "../components/feedback.tsx";
import { PAGES, type PageProps, pageNamed } from "./pages.ts";
import { linkTo, place } from "./router.ts";

interface Loaded {
  name: string;
  component: ComponentType<PageProps> | null;
  error: unknown;
}

export function PageOutlet() {
  const { page: wanted, params } = place.value;
  const name = wanted || PAGES[0].name;
  const page = pageNamed(name);
  const [loaded, setLoaded] = useState<Loaded>({ name: "", component: null, error: null });
  useEffect(() => {
    document.title = page === undefined ? "Stock database" : `${page.title} – Stock database`;
    let isWanted = true;
    page?.load().then(
      (module) => isWanted && setLoaded({ name, component: module.default, error: null }),
      (error) => isWanted && setLoaded({ name, component: null, error }),
    );
    return () => {
      isWanted = false;
    };
  }, [name, page]);
  if (page === undefined) {
    return (
      <section class="page">
        <h1>There is no such page</h1>
        <Note>
          “{name}” is none of this console's pages. <a href={linkTo(PAGES[0].name)}>All tickers</a>
        </Note>
      </section>
    );
  }
  if (loaded.name !== name) return <Loading />;
  if (loaded.component === null) {
    const told = new Error("This part of the page can't be loaded. The server may be away, or a newer one.");
    return (
      <section class="page">
        <Failure error={told} onRetry={() => location.reload()} />
      </section>
    );
  }
  const Shown = loaded.component;
  // Another key sees other things: everything is read anew.
  return <Shown key={`${name} ${session.value}`} params={params} />;
}
