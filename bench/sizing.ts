/**
 * The table of docs/scale.md for numbers of your own:
 *
 *   npm run bench -- sizing --gateways 5000 --every-seconds 10 --linger-seconds 5
 *
 * Without any it prints the three fleets of the page.
 */
import { parseArgs } from "node:util";
import { type Assumptions, FLEETS, sizingTable, USUAL } from "./sizing.core.ts";

const flagOf = (name: string) => name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
const names = ["gateways", ...Object.keys(USUAL)];
const { values } = parseArgs({
  options: Object.fromEntries(names.map((name) => [flagOf(name), { type: "string" as const }])),
});
const given = names.flatMap((name) => {
  const text = values[flagOf(name)];
  if (text === undefined) return [];
  const number = Number(text);
  const least = ["lingerSeconds", "diskPrice", "objectPrice"].includes(name) ? 0 : Number.MIN_VALUE;
  if (!(number >= least && Number.isFinite(number))) {
    console.error(`--${flagOf(name)}: ${JSON.stringify(text)} is no number that it can be`);
    process.exit(2);
  }
  return [[name, number] as const];
});
const own: Assumptions = { ...USUAL, gateways: 1000, ...Object.fromEntries(given) };
console.log(sizingTable(given.length === 0 ? FLEETS : [own]));
