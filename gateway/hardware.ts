/**
 * What this machine says of its own hardware (hardware.core.ts judges it). Everything is read from files, and nothing here
 * fails: what is not there, or not for this user to read, is not known.
 *
 * Not asked: the machine id, the host's name, the disk's own serial. They are on the card, or go with it.
 */
import { createHash } from "node:crypto";
import { readdir, readFile, realpath } from "node:fs/promises";
import { join } from "node:path";
import { burntIn, type Evidence, KINDS, type Kind, meaningful } from "./hardware.core.ts";

export interface Hardware {
  readonly evidence: Evidence;
  /** Kinds that are there and that this user may not read. */
  readonly unreadable: readonly Kind[];
  /** Why the machine's hardware is not looked at; undefined where it is. */
  readonly passedOver: string | undefined;
}

export interface HardwareOptions {
  /** What the configuration says this hardware is. */
  readonly set?: string | undefined;
  /** Of the file system; default `/`. */
  readonly root?: string;
}

/** Where a serial number is burnt into the processor: boards with a device tree, the Raspberry Pi among them. */
const SERIAL = "sys/firmware/devicetree/base/serial-number";
const DMI = ["product_uuid", "board_serial", "product_serial"] as const;

/** What the kubelet writes into each pod. */
const POD = /^# Kubernetes-managed hosts file/;
const HASH_LETTERS = 20;

/** So that nobody who reads a file or a topic learns a serial number, or tries them all. */
export function hashed(evidence: Evidence, salt: string): Evidence {
  const found: Partial<Record<Kind, readonly string[]>> = {};
  for (const kind of KINDS) {
    const values = evidence[kind] ?? [];
    const hashes = values.map((value) =>
      createHash("sha256").update(`${salt} ${kind} ${value}`).digest("hex").slice(0, HASH_LETTERS),
    );
    if (hashes.length > 0) found[kind] = hashes.sort();
  }
  return found;
}

export async function lookAtHardware(options: HardwareOptions = {}): Promise<Hardware> {
  const { set, root = "/" } = options;
  const own = set === undefined ? {} : { set: [set] };
  // A pod goes to another node whenever that suits, with its volume: the node is not its hardware.
  const hosts = await readFile(join(root, "etc/hosts"), "latin1").catch(() => "");
  if (POD.test(hosts)) {
    return { evidence: own, unreadable: [], passedOver: "a pod's node is not its own" };
  }
  const unreadable: Kind[] = [];
  const read = async (kind: Kind, path: string) => {
    try {
      return await readFile(join(root, path), "latin1");
    } catch (error) {
      if (/^(EACCES|EPERM)$/.test((error as NodeJS.ErrnoException).code ?? ""))
        unreadable.push(kind);
      return "";
    }
  };
  // Containers hide the first of them.
  const cpuinfo = async () =>
    /^Serial\s*:\s*(\S+)/im.exec(await read("serial", "proc/cpuinfo"))?.[1] ?? "";
  const serial = meaningful(await read("serial", SERIAL)) ?? meaningful(await cpuinfo());
  const evidence: Partial<Record<Kind, readonly string[]>> = { ...own };
  if (serial !== undefined) evidence.serial = [serial];
  for (const kind of DMI) {
    const value = meaningful(await read(kind, `sys/class/dmi/id/${kind}`));
    if (value !== undefined) evidence[kind] = [value];
  }
  const macs = await builtInMacs(join(root, "sys/class/net"));
  if (macs.length > 0) evidence.mac = macs;
  const seen = unreadable.filter((kind) => evidence[kind] === undefined);
  return { evidence, unreadable: seen, passedOver: undefined };
}

/** Of interfaces that are part of the board: a container's is new at each start, and a plug goes from board to board. */
async function builtInMacs(directory: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const name of await readdir(directory).catch(() => [])) {
    const text = async (file: string) =>
      (await readFile(join(directory, name, file), "latin1").catch(() => "")).trim();
    let device: string;
    try {
      device = await realpath(join(directory, name, "device"));
    } catch {
      continue;
    }
    if (/\/usb\d/.test(device) || (await isRemovable(device))) continue;
    // In a bond it shows the bond's; 0 says that an address was burnt in.
    const own = await text("bonding_slave/perm_hwaddr");
    const mac = burntIn(own === "" ? await text("address") : own);
    const given = own === "" && !/^0?$/.test(await text("addr_assign_type"));
    if (mac !== undefined && !given) found.push(mac);
  }
  return found.sort();
}

/** A card in a slot for laptops, a station that a machine stands on: they or what they hang on say so. */
async function isRemovable(device: string): Promise<boolean> {
  const parts = device.split("/");
  for (let depth = parts.length; depth > 2; depth -= 1) {
    const file = join(parts.slice(0, depth).join("/"), "removable");
    const text = await readFile(file, "latin1").catch(() => "");
    if (text.trim() === "removable") return true;
  }
  return false;
}
