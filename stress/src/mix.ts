/** Mixes three words into one; every bit of each reaches every bit of the result. */
export function mix(a: number, b: number, c: number): number {
  let h = Math.imul(a ^ 0x9e37_79b9, 0x85eb_ca6b)
  h = Math.imul(h ^ (h >>> 15) ^ b, 0xc2b2_ae35)
  h = Math.imul(h ^ (h >>> 13) ^ c, 0x27d4_eb2f)
  h = Math.imul(h ^ (h >>> 16), 0x1656_67b1)
  return (h ^ (h >>> 15)) >>> 0
}
