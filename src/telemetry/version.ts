/** The version of soquete that runs; the same as in package.json, as a test makes sure. */
export const VERSION = '0.1.0';
