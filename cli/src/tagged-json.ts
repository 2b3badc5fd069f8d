/**
 * Documents as JSON. What JSON does not have is an object with one key that begins with `$`; an object of the
 * document's own that looks like that is wrapped, so that nothing can be mistaken.
 *
 *   Date        {"$date": "2026-01-31T12:00:00.000Z"}; one that is none: {"$date": null}
 *   bigint      {"$bigint": "12345678901234567890"}
 *   Uint8Array  {"$bytes": "AQID"}, base64
 *   Map         {"$map": [[key, value], …]}
 *   Set         {"$set": [value, …]}
 *   number      {"$number": "NaN"}, "Infinity", "-Infinity", "-0"
 *   undefined   {"$undefined": true}
 *   object      {"$object": {"$date": 1}} for an object {"$date": 1}
 */
export function tagged(value: unknown): unknown {
  if (typeof value === 'bigint') return { $bigint: String(value) }
  if (typeof value === 'number') return taggedNumber(value)
  if (value === undefined) return { $undefined: true }
  return typeof value === 'object' && value !== null ? taggedObject(value) : value
}

function taggedNumber(value: number): unknown {
  if (Number.isFinite(value) && !Object.is(value, -0)) return value
  return { $number: Object.is(value, -0) ? '-0' : String(value) }
}

function taggedObject(value: object): unknown {
  if (Array.isArray(value)) return value.map(tagged)
  if (value instanceof Date)
    return { $date: Number.isNaN(value.getTime()) ? null : value.toISOString() }
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString('base64') }
  if (value instanceof Map) {
    return { $map: [...value].map(([key, item]) => [tagged(key), tagged(item)]) }
  }
  if (value instanceof Set) return { $set: [...value].map(tagged) }
  const entries = Object.entries(value)
  // `fromEntries` makes own properties, of `__proto__` too.
  const object: unknown = Object.fromEntries(entries.map(([key, item]) => [key, tagged(item)]))
  const [first] = entries
  return entries.length === 1 && first?.[0].startsWith('$') ? { $object: object } : object
}
