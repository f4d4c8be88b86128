/** Something that is needed cannot be asked at present: `503` with `Retry-After`. */
export class Unavailable extends Error {
  override name = 'Unavailable';
}
