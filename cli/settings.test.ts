import { mkdtempSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Type from "typebox";
import { afterAll, describe, expect, test } from "vitest";
import {
  environmentName,
  leavesOf,
  loadSettings,
  type SettingsError,
  type Sources,
  withoutSecrets,
} from "./settings.ts";

const schema = Type.Object(
  {
    data_dir: Type.String({ default: "./d", description: "where" }),
    mqtt: Type.Object(
      {
        port: Type.Integer({ default: 1883, minimum: 0, maximum: 65535 }),
        host: Type.String({ default: "127.0.0.1" }),
      },
      { additionalProperties: false, default: {} },
    ),
    kafka: Type.Object(
      {
        brokers: Type.Array(Type.String({ pattern: "^[^:]+:\\d+$" }), {
          default: [],
          "x-form": "write HOST:PORT",
        }),
      },
      { additionalProperties: false, default: {} },
    ),
  },
  { additionalProperties: false },
);

const directory = mkdtempSync(join(tmpdir(), "tidegate-settings-"));
afterAll(() => rm(directory, { recursive: true }));

function load(yaml: string | undefined, env = {}, flags: Sources["flags"] = new Map()) {
  const file = join(directory, "t.yaml");
  if (yaml !== undefined) writeFileSync(file, yaml);
  return loadSettings(schema, { file: yaml === undefined ? undefined : file, env, flags });
}

function faults(...args: Parameters<typeof load>): readonly string[] {
  try {
    load(...args);
  } catch (error) {
    return (error as SettingsError).faults.map((fault) => fault.replace(`${directory}/`, ""));
  }
  throw new Error("no fault was found");
}

describe("loadSettings", () => {
  test("defaults stand where nothing is set", () => {
    expect(load(undefined)).toEqual({
      data_dir: "./d",
      mqtt: { port: 1883, host: "127.0.0.1" },
      kafka: { brokers: [] },
    });
  });

  test("a flag is stronger than the environment, and that than the file", () => {
    const yaml = "mqtt:\n  port: 1\n  host: file\ndata_dir: file\n";
    const env = { TIDEGATE_MQTT_PORT: "2", TIDEGATE_MQTT_HOST: "env", PATH: "x" };
    const flags = new Map([["mqtt.port", { flag: "--mqtt-port", text: "3" }]]);
    expect(load(yaml, env, flags)).toMatchObject({
      data_dir: "file",
      mqtt: { port: 3, host: "env" },
    });
  });

  test("a list is separated by commas", () => {
    expect(load(undefined, { TIDEGATE_KAFKA_BROKERS: "a:1, b:2" })).toMatchObject({
      kafka: { brokers: ["a:1", "b:2"] },
    });
  });

  test("every fault is told at once, each with its place", () => {
    expect(
      faults("mqtt:\n  prot: 1\n  port: many\nnope: 1\n", { TIDEGATE_MQTT_HOTS: "x" }),
    ).toEqual([
      "TIDEGATE_MQTT_HOTS: no such setting, did you mean TIDEGATE_MQTT_HOST?",
      "t.yaml:4:1: nope is not a setting",
      "t.yaml:2:3: mqtt.prot is not a setting, did you mean mqtt.port?",
      "t.yaml:3:3: mqtt.port must be a whole number",
    ]);
  });

  test("a flag's and a variable's fault names them", () => {
    expect(faults(undefined, { TIDEGATE_MQTT_PORT: "99999" })).toEqual([
      "TIDEGATE_MQTT_PORT: must be 65535 or less",
    ]);
    expect(
      faults(undefined, {}, new Map([["mqtt.port", { flag: "--mqtt-port", text: "x" }]])),
    ).toEqual(["--mqtt-port: must be a whole number"]);
  });

  test("a fault of one member of a list shows the member, and what to write instead of a pattern", () => {
    const flags = new Map([["kafka.brokers", { flag: "--brokers", text: "a:1,nonsense" }]]);
    expect(faults(undefined, {}, flags)).toEqual(['--brokers: "nonsense": write HOST:PORT']);
    expect(faults("kafka:\n  brokers: [nonsense]\n")).toEqual([
      't.yaml:2:3: kafka.brokers "nonsense": write HOST:PORT',
    ]);
    expect(faults("kafka:\n  brokers: a:1\nmqtt:\n  port: -1\n")).toEqual([
      "t.yaml:4:3: mqtt.port must be 0 or more",
      "t.yaml:2:3: kafka.brokers must be a list",
    ]);
  });

  test("broken YAML and a missing file are one line each", () => {
    expect(faults("a: [1\n")).toEqual([expect.stringMatching(/^t\.yaml:\d+:\d+: \S.*/)]);
    expect(faults("mqtt:\n  port: 1\n  port: 2\n")).toEqual([
      expect.stringMatching(/^t\.yaml:3:3: Map keys must be unique/),
    ]);
    expect(() =>
      loadSettings(schema, { file: "/nonexistent.yaml", env: {}, flags: new Map() }),
    ).toThrow("/nonexistent.yaml: no such file");
  });

  test("what comes back is frozen", () => {
    const settings = load(undefined) as { mqtt: { port: number } };
    expect(() => {
      settings.mqtt.port = 1;
    }).toThrow(TypeError);
  });
});

describe("secrets", () => {
  const guarded = Type.Object(
    {
      kafka: Type.Object(
        {
          user: Type.Optional(Type.String()),
          password: Type.Optional(Type.String({ minLength: 1, "x-secret": true })),
        },
        { additionalProperties: false, default: {} },
      ),
    },
    { additionalProperties: false },
  );
  const load = (env: Record<string, string>) =>
    loadSettings<{ kafka: { password?: string } }>(guarded, {
      file: undefined,
      env,
      flags: new Map(),
    });

  test("are not printed, and the settings keep them", () => {
    const settings = load({ TIDEGATE_KAFKA_PASSWORD: "hush", TIDEGATE_KAFKA_USER: "me" });
    expect(withoutSecrets(guarded, settings)).toEqual({
      kafka: { user: "me", password: "(set, not shown)" },
    });
    expect(settings.kafka.password).toBe("hush");
    expect(withoutSecrets(guarded, load({}))).toEqual({ kafka: {} });
  });

  test("what was printed is not taken for one", () => {
    expect(() => load({ TIDEGATE_KAFKA_PASSWORD: "(set, not shown)" })).toThrow(
      "TIDEGATE_KAFKA_PASSWORD: kafka.password is what is printed in the place of a secret",
    );
  });

  test("stand in no fault", () => {
    const env = { TIDEGATE_KAFKA_PASSWORD: "", TIDEGATE_KAFKA_PASWORD: "hush" };
    expect(() => load(env)).toThrow(
      /^2 faults in the configuration:\n {2}TIDEGATE_KAFKA_PASWORD: no such setting, did you mean TIDEGATE_KAFKA_PASSWORD\?\n {2}TIDEGATE_KAFKA_PASSWORD: must not be empty$/,
    );
  });
});

test("leaves have paths, from which the variables' names come", () => {
  expect(leavesOf(schema).map((leaf) => environmentName(leaf.path))).toEqual([
    "TIDEGATE_DATA_DIR",
    "TIDEGATE_MQTT_PORT",
    "TIDEGATE_MQTT_HOST",
    "TIDEGATE_KAFKA_BROKERS",
  ]);
});
