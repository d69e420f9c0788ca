// A text in which places of code can be clicked. All else of it is text.

import { useMemo, useState } from "preact/hooks";
import { type CodePlace, findPlaces, groupFrames, isOurs } from "../../model/code_places";
import { openerNow, openPlace, projectRoot, sayOpener } from "../../state/editor";

export function Placed({ text }: { text: string }) {
  const pieces = useMemo(() => findPlaces(text), [text]);
  return <>{pieces.map((piece, index) => (typeof piece === "string" ? piece : <Place key={index} place={piece} />))}</>;
}

/** A traceback: the project's frames are shown, those of libraries between them when somebody asks. */
export function Traceback({ text }: { text: string }) {
  const [isWhole, setWhole] = useState(false);
  const root = projectRoot.value;
  const groups = useMemo(() => groupFrames(text, root), [text, root]);
  const hasOurs = groups.some((group) => group.isOurs && group.frames > 0);
  const hidden = groups.reduce((sum, group) => sum + (group.isOurs ? 0 : group.frames), 0);
  if (isWhole || !hasOurs || hidden === 0) {
    return (
      <pre class="raw" tabIndex={0}>
        <Placed text={text} />
      </pre>
    );
  }
  return (
    <>
      <pre class="raw" tabIndex={0}>
        {groups.map((group, index) =>
          group.isOurs ? <Placed key={index} text={group.text} /> : <span class="dim" key={index}>{`  …\n`}</span>,
        )}
      </pre>
      <button type="button" class="button button-quiet more-frames" onClick={() => setWhole(true)}>
        {hidden === 1 ? "show 1 frame of a library" : `show ${hidden} frames of libraries`}
      </button>
    </>
  );
}

/** `flow.py:41`: a click opens it, where it is a file of the project. */
export function Place({ place }: { place: CodePlace }) {
  if (!isOurs(place.file, projectRoot.value)) return <>{place.text}</>;
  const what = sayOpener(openerNow.value);
  return (
    <button
      type="button"
      class="place"
      title={`${what}: ${place.file}:${place.line}`}
      onClick={(event) => {
        event.stopPropagation();
        void openPlace(place);
      }}
    >
      {shorten(place, projectRoot.value)}
    </button>
  );
}

/** A file of the project is named from its root, unless it stands in a traceback as Python writes it. */
function shorten({ text, file }: CodePlace, root: string | null): string {
  if (root === null || !text.startsWith(`${root}/`)) return text;
  return text.slice(file.length - file.slice(root.length + 1).length);
}

export function placeAt(file: string, line: number, column = 1): CodePlace {
  return { text: `${file}:${line}`, file, line, column };
}
