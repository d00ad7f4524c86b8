import { expectTypeOf, test } from "vitest";
import type * as server from "../api-schemas.ts";
import type { ProblemBody } from "../problems.ts";
import type { DeviceDetail, Info, Problem, Series } from "./api-types.ts";

test("the page reads what the server's schemas say; the compiler is the judge", () => {
  expectTypeOf<server.Info>().toEqualTypeOf<Info>();
  expectTypeOf<server.Series>().toEqualTypeOf<Series>();
  expectTypeOf<server.DeviceDetail>().toEqualTypeOf<DeviceDetail>();
  expectTypeOf<ProblemBody>().toExtend<Problem>();
});
