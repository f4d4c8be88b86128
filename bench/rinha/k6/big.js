/** What the challenge's scripts use of big.js: sums of some hundred thousand, to the cent. */
export default class Big {
  constructor(value) {
    this.value = Number(value);
  }

  plus(other) {
    return new Big(this.value + Number(other));
  }

  minus(other) {
    return new Big(this.value - Number(other));
  }

  times(other) {
    return new Big(this.value * Number(other));
  }

  round(places) {
    return new Big(this.value.toFixed(places));
  }

  toNumber() {
    return this.value;
  }

  valueOf() {
    return this.value;
  }
}
