/**
 * Versions: numbers of published states, 32 bits that wrap, as signed integers (which V8 holds without a
 * box). 0 is no version: it is left out when the numbers wrap.
 *
 * Two versions can be compared as long as they are less than 2^31 apart. Nothing is older than VERSIONS_SPAN:
 * the sequencer forgets the births of older pages (`NO_VERSION`: since ever) and gives up older pins.
 */

export const NO_VERSION = 0

/** How far apart two versions in use can be: a quarter of the circle. */
export const VERSIONS_SPAN: number = 2 ** 30

export function versionAfter(version: number): number {
  const next = (version + 1) | 0
  return next === NO_VERSION ? 1 : next
}

/** Signed distance from `b` to `a` on the circle. */
export function versionDistance(a: number, b: number): number {
  return (a - b) | 0
}

/**
 * Whether one who looks at `version` may come upon a page that was made in `birth` and was gone in
 * `retired`. All as seen from `reference`, a version that is not before any of the others in use.
 */
export function isInLife(
  version: number,
  birth: number,
  retired: number,
  reference: number,
): boolean {
  const age = versionDistance(version, reference)
  const born = birth === NO_VERSION || versionDistance(birth, reference) <= age
  return born && age < versionDistance(retired, reference)
}
