// Views that are loaded when they are first shown.

import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Failure, GONE } from "../../api";
import { connection, onceBack } from "../../state/live";
import { FailureNote, Loading } from "./small";

/** Where the server answers, it is another one than the page came from, and has files of other names. */
function explain(what: string): Failure {
  const text = `the part of the studio that shows ${what} could not be loaded`;
  if (connection.peek() !== "live") return new Failure(GONE, text, null, null, 0);
  return new Failure("internal", text, null, "the server may be a newer one: the page is loaded anew", 0);
}

export function lazyView<P extends object>(what: string, load: () => Promise<ComponentType<P>>): ComponentType<P> {
  let found: ComponentType<P> | null = null;
  return function Lazy(props: P) {
    const [, redraw] = useState(0);
    const [failure, setFailure] = useState<Failure | null>(null);
    const [turn, setTurn] = useState(0);
    useEffect(() => {
      let isHere = true;
      if (found) return;
      setFailure(null);
      load().then(
        (component) => {
          found = component;
          if (isHere) redraw(1);
        },
        () => {
          if (isHere) setFailure(explain(what));
        },
      );
      return () => {
        isHere = false;
      };
    }, [turn]);
    useEffect(() => onceBack(() => !found && setTurn((now) => now + 1)), []);
    if (failure) return <FailureNote failure={failure} again={() => location.reload()} />;
    if (!found) return <Loading what={what} />;
    const Found = found;
    return <Found {...props} />;
  };
}
