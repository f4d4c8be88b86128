/** What a processor's administration wants as `X-Rinha-Token` until it is told another. */
export const TOKEN = '123';
