// What the shapes mean: swatches in CSS that look as the chart's bars do.

const ENTRIES = [
  ["queued", "queued"],
  ["work", "attempt"],
  ["failed", "failed attempt"],
  ["retry", "wait to retry"],
  ["waiting", "sleep, hook, child"],
  ["held", "lock held"],
  ["off", "cancelled, abandoned"],
] as const;

export function TimelineLegend() {
  return (
    <ul class="tl-legend" aria-label="what the shapes mean">
      {ENTRIES.map(([look, words]) => (
        <li key={look}>
          <span class={`tl-swatch tl-swatch-${look}`} aria-hidden="true" />
          {words}
        </li>
      ))}
    </ul>
  );
}
