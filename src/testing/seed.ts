/** The seed of a test: always the same, unless `SEED` in the environment chooses one to replay a failure. */
export const seed = Number(process.env['SEED'] ?? 20260710);
