/** What V8 is told where one part of the product has a process of its own. Plain old JavaScript, as its neighbour. */

/**
 * A gateway lives on a small board: without a bound V8 lets garbage pile up to several times what is in use before it
 * collects, because it takes the whole machine for its own.
 *
 * Readings live for milliseconds, but many at once. A few collections that meet them alive make V8 believe that they
 * live long, and put them where only its long collections look; what they point at then stays too, so that the belief
 * confirms itself. That made the p99 of an acknowledgement about three times as long.
 */
const GATEWAY_FLAGS = [
  "--max-semi-space-size=4",
  "--max-old-space-size=160",
  "--no-allocation-site-pretenuring",
];

/**
 * Processors make much and keep little of it. V8 takes more and more memory for what is young while that goes on, and
 * gives it back late; more than this made them larger by a third and no faster, less took a sixth of their speed.
 */
const CLOUD_FLAGS = ["--max-semi-space-size=16"];

/** @param command of the `tidegate` program */
export function flagsOf(command) {
  if (command === "gateway") return GATEWAY_FLAGS;
  return command === "cloud" ? CLOUD_FLAGS : [];
}
