/**
 * A table of any number of rows: only those that are seen are in the page. The arrow keys, Page up
 * and down, Home and End move a row's mark, and Enter opens that row.
 */
import type { ComponentChildren } from "preact";
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";

/** As `--row` in tokens.css. */
const ROW_PX = 36;
const HEAD_PX = 34;
/** Above and below what is seen, so that a quick scroll shows no hole. */
const SPARE_ROWS = 8;

export interface Column<Row> {
  id: string;
  title: string;
  render(row: Row): ComponentChildren;
  isNumber?: boolean;
  /** Left out where the window is narrow. */
  isWideOnly?: boolean;
  isSortable?: boolean;
}

export interface Sort {
  column: string;
  isDescending: boolean;
}

interface TableProps<Row> {
  label: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  keyOf(row: Row): string | number;
  onOpen?: (row: Row) => void;
  sort?: Sort;
  onSort?: (sort: Sort) => void;
  /** The rows that are in the page now, from `from` on and before `to`. */
  onWindow?: (from: number, to: number) => void;
}

export function Table<Row>(props: TableProps<Row>) {
  const { label, columns, rows, keyOf, onOpen, onWindow } = props;
  const id = useId();
  const box = useRef<HTMLDivElement>(null);
  const { from, to } = useWindow(box, rows.length);
  const [active, setActive] = useState(-1);
  useEffect(() => onWindow?.(from, to), [from, to, rows, onWindow]);

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Enter" && active >= 0 && event.target === event.currentTarget) {
      const row = rows[active];
      if (row !== undefined) onOpen?.(row);
      return;
    }
    const next = rowAfter(event.key, { active, count: rows.length, box: box.current! });
    if (next === null || rows.length === 0) return;
    event.preventDefault();
    setActive(next);
    scrollTo(box.current!, next);
  };

  return (
    <div ref={box} class="table-box">
      <table
        class="table"
        // biome-ignore lint/a11y/noNoninteractiveElementToInteractiveRole: a grid of ARIA.
        role="grid"
        tabIndex={0}
        aria-label={label}
        aria-rowcount={rows.length + 1}
        aria-activedescendant={active >= from && active < to ? `${id}-${active}` : undefined}
        onKeyDown={onKeyDown}
      >
        <Head {...props} />
        <tbody>
          <Spacer rows={from} columns={columns.length} />
          {rows.slice(from, to).map((row, i) => (
            <tr
              key={keyOf(row)}
              id={`${id}-${from + i}`}
              class={from + i === active ? "is-row is-active" : "is-row"}
              aria-rowindex={from + i + 2}
              aria-selected={from + i === active}
              onClick={() => setActive(from + i)}
              onDblClick={() => onOpen?.(row)}
            >
              {columns.map((column) => (
                <td key={column.id} class={classOf(column)}>
                  {column.render(row)}
                </td>
              ))}
            </tr>
          ))}
          <Spacer rows={rows.length - to} columns={columns.length} />
        </tbody>
      </table>
    </div>
  );
}

function Head<Row>({ columns, sort, onSort }: TableProps<Row>) {
  return (
    <thead>
      <tr aria-rowindex={1}>
        {columns.map((column) => {
          const isSorted = sort?.column === column.id;
          const order = sort?.isDescending ? "descending" : "ascending";
          return (
            <th key={column.id} scope="col" class={classOf(column)} aria-sort={isSorted ? order : undefined}>
              {column.isSortable && onSort ? (
                <button type="button" onClick={() => onSort(sortAfter(column, sort))}>
                  {column.title}
                  {isSorted ? (sort.isDescending ? " ↓" : " ↑") : ""}
                </button>
              ) : (
                column.title
              )}
            </th>
          );
        })}
      </tr>
    </thead>
  );
}

/** Numbers begin with the largest. */
function sortAfter<Row>({ id, isNumber = false }: Column<Row>, sort: Sort | undefined): Sort {
  return { column: id, isDescending: sort?.column === id ? !sort.isDescending : isNumber };
}

function Spacer({ rows, columns }: { rows: number; columns: number }) {
  const cell = useRef<HTMLTableCellElement>(null);
  useLayoutEffect(() => {
    if (cell.current !== null) cell.current.style.height = `${rows * ROW_PX}px`;
  }, [rows]);
  if (rows <= 0) return null;
  return (
    // biome-ignore lint/a11y/noAriaHiddenOnFocusable: nothing in it takes the focus.
    <tr class="spacer" aria-hidden="true">
      <td ref={cell} colSpan={columns} />
    </tr>
  );
}

function classOf<Row>({ isNumber, isWideOnly }: Column<Row>): string {
  return `${isNumber ? "number" : ""} ${isWideOnly ? "wide-only" : ""}`.trim();
}

function useWindow(box: { current: HTMLDivElement | null }, count: number): { from: number; to: number } {
  const [seen, setSeen] = useState({ first: 0, rows: 30 });
  useLayoutEffect(() => {
    const element = box.current!;
    const look = () => {
      const first = Math.floor(element.scrollTop / ROW_PX);
      const rows = Math.ceil(element.clientHeight / ROW_PX);
      setSeen((before) => (before.first === first && before.rows === rows ? before : { first, rows }));
    };
    look();
    element.addEventListener("scroll", look, { passive: true });
    const observer = new ResizeObserver(look);
    observer.observe(element);
    return () => {
      element.removeEventListener("scroll", look);
      observer.disconnect();
    };
  }, [box]);
  const to = Math.min(count, seen.first + seen.rows + SPARE_ROWS);
  return { from: Math.max(0, Math.min(seen.first, to) - SPARE_ROWS), to };
}

function rowAfter(
  pressed: string,
  { active, count, box }: { active: number; count: number; box: HTMLElement },
): number | null {
  const page = Math.max(1, Math.floor((box.clientHeight - HEAD_PX) / ROW_PX) - 1);
  const steps: Record<string, number> = {
    ArrowDown: active + 1,
    ArrowUp: active - 1,
    PageDown: active + page,
    PageUp: active - page,
    Home: 0,
    End: count - 1,
  };
  const next = steps[pressed];
  return next === undefined ? null : Math.max(0, Math.min(count - 1, next));
}

function scrollTo(box: HTMLElement, row: number): void {
  const top = row * ROW_PX;
  const height = box.clientHeight - HEAD_PX;
  if (top < box.scrollTop) box.scrollTop = top;
  else if (top + ROW_PX > box.scrollTop + height) box.scrollTop = top + ROW_PX - height;
}
