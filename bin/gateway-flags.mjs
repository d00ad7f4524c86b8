/**
 * What V8 is told where nothing but a gateway runs. Plain old JavaScript, as its neighbour.
 *
 * A gateway lives on a small board: without a bound V8 lets garbage pile up to several times what is in use before it
 * collects, because it takes the whole machine for its own.
 *
 * Readings live for milliseconds, but many at once. A few collections that meet them alive make V8 believe that they
 * live long, and put them where only its long collections look; what they point at then stays too, so that the belief
 * confirms itself. That made the p99 of an acknowledgement about three times as long.
 */
export const GATEWAY_FLAGS = [
  "--max-semi-space-size=4",
  "--max-old-space-size=160",
  "--no-allocation-site-pretenuring",
];
