import { useSignalEffect } from "@preact/signals";
import { printable } from "../../model/printable";
import { place } from "../../state/router";
import { dismiss, toasts } from "../../state/toasts";
import { Icon } from "../parts/Icon";
import { A, Prose } from "../parts/small";

export function Toasts() {
  // Who went where a note leads needs it no more.
  useSignalEffect(() => {
    if (place.value === null) return;
    const here = location.pathname + location.search;
    for (const one of toasts.peek()) if (one.link?.href === here) dismiss(one.id);
  });
  return (
    <section class="toasts" role="status" aria-label="notes" aria-live="polite">
      {toasts.value.map((one) => (
        <div class={`toast toast-${one.tone}`} key={one.id}>
          <Icon name={one.tone === "good" ? "check" : one.tone === "info" ? "dots" : "bang"} size={14} />
          <div>
            <p>{printable(one.text)}</p>
            {one.more && (
              <p class="dim">
                <Prose text={printable(one.more)} />
              </p>
            )}
            {one.link && <A href={one.link.href}>{one.link.label}</A>}
          </div>
          <button type="button" class="button button-quiet" aria-label="dismiss" onClick={() => dismiss(one.id)}>
            <Icon name="cross" size={12} />
          </button>
        </div>
      ))}
    </section>
  );
}
