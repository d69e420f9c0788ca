// Icons: strokes on a 16-unit grid. They decorate words, and are hidden from who listens.

const PATHS = {
  runs: "M2.5 4h7M2.5 8h11M2.5 12h5",
  workflows: "M4 2.5v7a3 3 0 0 0 3 3h5M4 6h5a3 3 0 0 0 3-3M10 10.5l2 2-2 2",
  hooks: "M10.5 2.5v6a3.25 3.25 0 1 1-6.5 0V7m0 0L2.5 8.7M4 7l1.5 1.7",
  query:
    "M3 4c0-1 2.2-1.7 5-1.7s5 .7 5 1.7-2.2 1.7-5 1.7S3 5 3 4zm0 0v8c0 1 2.2 1.7 5 1.7s5-.7 5-1.7V4M3 8c0 1 2.2 1.7 5 1.7S13 9 13 8",
  compare: "M6.5 2.5h-4v11h4M9.5 2.5h4v11h-4M8 1v14",
  code: "M5.5 4.5 2 8l3.5 3.5M10.5 4.5 14 8l-3.5 3.5",
  overview: "M2.5 13.5v-5M6.2 13.5v-8M9.8 13.5v-6M13.5 13.5v-11",
  search: "M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM10.3 10.3l3.2 3.2",
  check: "M3 8.5 6.3 12 13 4.5",
  cross: "M4 4l8 8M12 4l-8 8",
  bang: "M8 3v6.2M8 12.4v.4",
  bar: "M4 8h8",
  pause: "M6 4v8M10 4v8",
  clock: "M8 4.5V8l2.3 1.6M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12z",
  dots: "M4 8h.01M8 8h.01M12 8h.01",
  spin: "M8 2.5a5.5 5.5 0 1 1-5.2 3.7",
  copy: "M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z",
  right: "M6 3.5 10.5 8 6 12.5",
  down: "M3.5 6 8 10.5 12.5 6",
  link: "M6.8 9.2a2.6 2.6 0 0 0 3.7 0l2.3-2.3a2.6 2.6 0 0 0-3.7-3.7L8 4.3M9.2 6.8a2.6 2.6 0 0 0-3.7 0L3.2 9.1a2.6 2.6 0 0 0 3.7 3.7L8 11.7",
  sun: "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM8 1.5v1.2M8 13.3v1.2M1.5 8h1.2M13.3 8h1.2M3.4 3.4l.9.9M11.7 11.7l.9.9M3.4 12.6l.9-.9M11.7 4.3l.9-.9",
  moon: "M13.2 9.6A5.7 5.7 0 0 1 6.4 2.8a5.7 5.7 0 1 0 6.8 6.8z",
  half: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 2v12",
  play: "M5 3.2v9.6L12.5 8z",
  stop: "M4 4h8v8H4z",
  again: "M13 3.5v3.2H9.8M12.8 6.6A5.2 5.2 0 1 0 13 9.5",
  fork: "M4.5 5v6M4.5 5a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3zm0 9a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3zm7-9a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3zm0 0v1a3 3 0 0 1-3 3h-4",
  wake: "M8 3.5v5l3 1.8M2.5 3.5 4.5 2M13.5 3.5 11.5 2M8 14A5.5 5.5 0 1 0 8 3a5.5 5.5 0 0 0 0 11z",
  keyboard: "M1.5 4h13v8h-13zM4 6.5h.01M6.7 6.5h.01M9.3 6.5h.01M12 6.5h.01M5 9.5h6",
  save: "M3 2.5h8l2.5 2.5v8.5H3zM5.5 2.5v3.2h4.4V2.5M5.5 13.5v-4h5.2v4",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg
      class={`icon icon-${name}`}
      width={size}
      height={size}
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      stroke-width="1.5"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
