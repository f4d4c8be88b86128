/** What the challenge's scripts use of jslib's k6-utils. */
const hex = () =>
  Math.floor(Math.random() * 65_536)
    .toString(16)
    .padStart(4, '0');

/** A random UUID of version 4. */
export const uuidv4 = () =>
  `${hex()}${hex()}-${hex()}-4${hex().slice(1)}-a${hex().slice(1)}-${hex()}${hex()}${hex()}`;
