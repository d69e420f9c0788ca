// The run's streams: what its steps wrote, followed while it is looked at.

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { call, Failure, follow, GONE, urlOf } from "../../api";
import type { ChunkView, StreamView } from "../../api_types";
import { commandOf } from "../../model/commands";
import { showClock, showCount } from "../../model/instants";
import { showInline } from "../../model/payloads";
import { printable } from "../../model/printable";
import { onceBack } from "../../state/live";
import { place, setParams } from "../../state/router";
import { Chip, Command, Empty, FailureNote } from "../parts/small";
import { useVirtual } from "../parts/virtual";

const ROW = 24;
const MAX_BYTES = 4_000;
/** A stream may be endless: older chunks than these are let go. */
const KEPT = 20_000;
const PAGE = 1000;

export function StreamsTab({
  runId,
  streams,
  isLive,
}: {
  runId: string;
  streams: readonly StreamView[];
  isLive: boolean;
}) {
  const asked = place.value?.params.get("stream");
  if (streams.length === 0) {
    return (
      <Empty title="It has no streams">
        <p class="dim">A step writes to one with wf.get_writable(); it is there from its first chunk on.</p>
      </Empty>
    );
  }
  const shown = streams.find((one) => one.name === asked) ?? streams[0]!;
  return (
    <div class="tab-table">
      <div class="tab-bar" role="group" aria-label="streams">
        {streams.map((one) => (
          <button
            type="button"
            class="chip-button"
            key={one.name}
            aria-pressed={one.name === shown.name}
            onClick={() => setParams({ stream: one.name })}
          >
            {one.name} <span class="num dim">{showCount(one.tail_index + 1)}</span>
          </button>
        ))}
        {shown.is_closed ? <Chip tone="off">closed</Chip> : isLive ? <Chip tone="active">open</Chip> : null}
        <Command text={commandOf("stream", runId, shown.name)} />
      </div>
      <Chunks key={shown.name} runId={runId} stream={shown} isOpen={isLive && !shown.is_closed} />
    </div>
  );
}

function Chunks({ runId, stream, isOpen }: { runId: string; stream: StreamView; isOpen: boolean }) {
  const { name } = stream;
  const first = useRef(Math.max(0, stream.tail_index + 1 - KEPT));
  const [turn, setTurn] = useState(0);
  const [chunks, setChunks] = useState<readonly ChunkView[]>([]);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [isFollowing, setFollowing] = useState(true);
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtual({ count: chunks.length, rowHeight: ROW, scroller });

  useEffect(() => {
    const path = { id: runId, name };
    const gathered: ChunkView[] = [];
    const abort = new AbortController();
    let followed: { close(): void } | null = null;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const show = () => {
      timer ??= setTimeout(() => {
        timer = undefined;
        if (gathered.length > KEPT) gathered.splice(0, gathered.length - KEPT);
        setChunks([...gathered]);
      }, 80);
    };
    const read = async () => {
      let start = first.current;
      let page: { items: ChunkView[] };
      do {
        page = await call("GET /api/runs/{id}/streams/{name}", {
          path,
          query: { start, limit: PAGE, max_bytes: MAX_BYTES },
          signal: abort.signal,
        });
        gathered.push(...page.items);
        start = (page.items.at(-1)?.index ?? start - 1) + 1;
        show();
      } while (page.items.length === PAGE);
      if (!isOpen || abort.signal.aborted) return;
      const url = urlOf("/api/runs/{id}/streams/{name}", path, { start, max_bytes: MAX_BYTES });
      followed = follow(
        url,
        {
          kinds: [],
          onEvent: (_, data) => {
            gathered.push(data as ChunkView);
            show();
          },
          onEnd: (problem) => problem && setFailure(problem),
        },
        (lastId) => urlOf("/api/runs/{id}/streams/{name}", path, { start: Number(lastId) + 1, max_bytes: MAX_BYTES }),
      );
    };
    read().catch((error: unknown) => {
      if (!abort.signal.aborted) setFailure(Failure.from(error));
    });
    return () => {
      abort.abort();
      clearTimeout(timer);
      followed?.close();
    };
  }, [runId, name, isOpen, turn]);

  useEffect(() => {
    if (failure?.slug !== GONE) return;
    return onceBack(() => {
      setFailure(null);
      setTurn((now) => now + 1);
    });
  }, [failure]);

  const left = chunks[0]?.index ?? 0;
  useLayoutEffect(() => {
    const element = scroller.current;
    if (isFollowing && element) element.scrollTop = element.scrollHeight;
  }, [chunks.length, isFollowing]);

  return (
    <>
      {failure && <FailureNote failure={failure} />}
      {left > 0 && <p class="dim">The first {showCount(left)} are left out here; the command gives all of them.</p>}
      <div
        class="grid-scroll log-scroll mono"
        ref={scroller}
        tabIndex={0}
        role="log"
        aria-label={`chunks of ${name}`}
        onScroll={(event) => {
          const element = event.currentTarget;
          setFollowing(element.scrollHeight - element.scrollTop - element.clientHeight < ROW * 2);
        }}
      >
        <div class="grid-space" style={{ height: `${virtual.getTotalSize()}px` }}>
          {virtual.getVirtualItems().map((row) => {
            const chunk = chunks[row.index]!;
            return (
              <div
                key={chunk.index}
                class="log-line"
                data-index={row.index}
                ref={(element) => {
                  if (element) virtual.measureElement(element);
                }}
                style={{ transform: `translateY(${row.start}px)` }}
              >
                <span class="num dim">{showClock(chunk.at)}</span>
                <span class="num dim">{chunk.index}</span>
                <span class="log-text">
                  {chunk.is_locked
                    ? "locked"
                    : typeof chunk.value === "string"
                      ? printable(chunk.value)
                      : showInline(chunk.value, 4000)}
                </span>
              </div>
            );
          })}
        </div>
      </div>
    </>
  );
}
