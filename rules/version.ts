/** Which rules these are, as a short text: what a state says that it goes by, without holding the rules twice. */
import { createHash } from "node:crypto";
import { type Rule, ruleText } from "./rule.ts";

export function rulesVersion(rules: readonly Rule[]): string {
  const texts = rules.map((one) => ruleText(one)).sort();
  return createHash("sha256").update(texts.join("\n")).digest("base64url").slice(0, 22);
}
