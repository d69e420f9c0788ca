// A line of source in colours.

import type { Token } from "../../model/python_tokens";

export function Tokens({ tokens }: { tokens: readonly Token[] }) {
  return (
    <span>
      {tokens.map(({ text, kind }, index) =>
        kind === "" ? (
          text
        ) : (
          <span key={index} class={kind}>
            {text}
          </span>
        ),
      )}
    </span>
  );
}
