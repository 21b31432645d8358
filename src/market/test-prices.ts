/** Prices of the ticker TEST. They depend on the time alone, so all servers give the same. */

export interface TestPrices {
  bid: number;
  bidSize: number;
  ask: number;
  askSize: number;
  /** At the bid or the ask. */
  trade: number;
  tradeSize: number;
}

const MIDDLE = 100;
/** Periods of the waves. Each moves the price by about the root of its period, as in a market. */
const WAVES_S = [4, 15, 60, 240, 900, 3_600, 14_400, 86_400, 604_800, 2_592_000];
const MOVE_PER_ROOT_S = 0.008;
const TICK = 0.01;
const SPREAD_TICKS_MAX = 4;
const LOT = 100;
const LOTS_MAX = 9;

/** @param second since 1970, a whole number. Prices are about 80 to 120. */
export function testPrices(second: number): TestPrices {
  const middle = WAVES_S.reduce((price, waveS, wave) => price + waveAt(second, waveS, wave), MIDDLE);
  const dice = (of: number): number => noise(of, second);
  const spread = 1 + Math.floor(dice(101) * SPREAD_TICKS_MAX);
  const bidTicks = Math.round(middle / TICK - spread / 2);
  const [bid, ask] = [bidTicks, bidTicks + spread].map((ticks) => Number((ticks * TICK).toFixed(2))) as [
    number,
    number,
  ];
  const lots = (of: number): number => LOT * (1 + Math.floor(dice(of) * LOTS_MAX));
  return {
    bid,
    bidSize: lots(102),
    ask,
    askSize: lots(103),
    trade: dice(104) < 0.5 ? bid : ask,
    tradeSize: lots(105),
  };
}

/** A smooth curve through random heights, one each `waveS` seconds. */
function waveAt(second: number, waveS: number, wave: number): number {
  const step = Math.floor(second / waveS);
  const share = second / waveS - step;
  const smooth = share * share * (3 - 2 * share);
  const height = noise(wave, step) * (1 - smooth) + noise(wave, step + 1) * smooth;
  return (height - 0.5) * 2 * MOVE_PER_ROOT_S * Math.sqrt(waveS);
}

/** @returns 0 to 1, the same for the same arguments on every machine. */
function noise(stream: number, at: number): number {
  let bits = Math.imul(at ^ Math.imul(stream + 1, 0x9e3779b1), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 15), 0xc2b2ae35);
  bits ^= bits >>> 13;
  bits = Math.imul(bits, 0x27d4eb2f);
  return ((bits ^ (bits >>> 16)) >>> 0) / 2 ** 32;
}
