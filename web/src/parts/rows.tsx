// Rows of one height of which only those that are seen exist: thousands scroll as ten do.

import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';

interface RowsProps<Item> {
  items: readonly Item[];
  height: number;
  keyOf: (item: Item) => string;
  render: (item: Item) => ComponentChildren;
  label: string;
  head?: ComponentChildren;
}

const beyond = 8;

/** Scrolls within itself; up and down go from row to row. */
export function Rows<Item>({ items, height, keyOf, render, label, head }: RowsProps<Item>) {
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 800 });
  useEffect(() => {
    const element = box.current;
    if (element === null) return undefined;
    const look = (): void => setView({ top: element.scrollTop, height: element.clientHeight });
    const observer = new ResizeObserver(look);
    observer.observe(element);
    element.addEventListener('scroll', look, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener('scroll', look);
    };
  }, []);
  const first = Math.max(0, Math.floor(view.top / height) - beyond);
  const last = Math.min(items.length, Math.ceil((view.top + view.height) / height) + beyond);
  const move = (event: KeyboardEvent): void => {
    if (event.key !== 'ArrowDown' && event.key !== 'ArrowUp') return;
    if ((event.target as HTMLElement).closest('input, select, textarea') !== null) return;
    const row = (event.target as HTMLElement).closest('.row');
    const next = event.key === 'ArrowDown' ? row?.nextElementSibling : row?.previousElementSibling;
    next?.querySelector<HTMLElement>('a, button')?.focus();
    event.preventDefault();
  };
  return (
    <div class="rows-frame">
      {head !== undefined && (
        <div class="row row-head" role="presentation">
          {head}
        </div>
      )}
      <div class="rows" ref={box} onKeyDown={move} tabIndex={-1}>
        <ul aria-label={label} style={{ height: `${items.length * height}px` }}>
          {items.slice(first, last).map((item, index) => (
            <li
              class="row"
              key={keyOf(item)}
              aria-setsize={items.length}
              aria-posinset={first + index + 1}
              style={{ transform: `translateY(${(first + index) * height}px)`, height: `${height}px` }}
            >
              {render(item)}
            </li>
          ))}
        </ul>
      </div>
    </div>
  );
}
