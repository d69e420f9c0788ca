// Code that does not load: shown over a corner, in nobody's way, until the next good save or until it is waved away.

import { useState } from "preact/hooks";
import type { NotLoaded } from "../../api_types";
import { dismissedError, errorKey } from "../../state/dev";
import { Icon } from "../parts/Icon";
import { Placed, Traceback } from "../parts/Placed";
import { Copy } from "../parts/small";

export function ErrorOverlay({ error }: { error: NotLoaded }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <section class="overlay" role="alert" aria-label="the code does not load">
      <header>
        <Icon name="bang" />
        <strong>The code does not load</strong>
        <code class="slug">{error.slug}</code>
        <button
          type="button"
          class="button button-quiet"
          aria-label="wave it away"
          onClick={() => {
            dismissedError.value = errorKey(error);
          }}
        >
          <Icon name="cross" size={14} />
        </button>
      </header>
      <p class="error-message">{error.message}</p>
      {error.where && (
        <p class="mono where">
          <Placed text={error.where} /> <Copy text={placeOnly(error.where)} what="copy file and line" />
        </p>
      )}
      {error.frame && (
        <pre class="raw frame" tabIndex={0}>
          {error.frame}
        </pre>
      )}
      {error.hint && <p class="dim">{error.hint}</p>}
      {error.traceback && (
        <button
          type="button"
          class="button button-quiet overlay-more"
          aria-expanded={isOpen}
          onClick={() => setOpen(!isOpen)}
        >
          <Icon name={isOpen ? "down" : "right"} size={12} /> traceback
        </button>
      )}
      {isOpen && <Traceback text={error.traceback ?? ""} />}
      <p class="dim">What was loaded before goes on serving. This goes away with the next save that loads.</p>
    </section>
  );
}

/** `flow.py:41 in fulfil` is `flow.py:41` to an editor. */
function placeOnly(where: string): string {
  return where.replace(/ in .*$/, "");
}
