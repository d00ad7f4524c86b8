import { mkdtempSync } from "node:fs";
import { mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { lookAtHardware } from "./hardware.ts";

let root = "";
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "tidegate-hardware-"));
});
afterEach(async () => rm(root, { recursive: true }));

async function files(contents: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, content] of Object.entries(contents)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  }
}

/** A network interface; without a device it is a virtual one. */
async function networkCard(name: string, mac: string, device?: string, more = {}): Promise<void> {
  const folder = `sys/class/net/${name}`;
  await files({ [`${folder}/address`]: `${mac}\n`, [`${folder}/addr_assign_type`]: "0\n" });
  for (const [file, content] of Object.entries(more)) {
    await files({ [`${folder}/${file}`]: content as string });
  }
  if (device === undefined) return;
  await mkdir(join(root, device), { recursive: true });
  await symlink(join(root, device), join(root, folder, "device"));
}

const look = () => lookAtHardware({ root });

test("a machine that says nothing is not known, and that is no error", async () => {
  expect(await look()).toEqual({ evidence: {}, unreadable: [], passedOver: undefined });
});

test("a Raspberry Pi: the serial number of its processor and the address of its own Ethernet", async () => {
  await files({ "sys/firmware/devicetree/base/serial-number": "10000000abcdef12\0" });
  await networkCard("eth0", "dc:a6:32:01:02:03", "sys/devices/platform/fd580000.ethernet");
  const { evidence } = await look();
  expect(evidence).toEqual({ serial: ["10000000abcdef12"], mac: ["dc:a6:32:01:02:03"] });
});

test("in a container on one, which sees no device tree: the same serial number", async () => {
  await files({
    "proc/cpuinfo": "processor\t: 0\n\nHardware\t: BCM2835\nSerial\t\t: 10000000abcdef12\n",
  });
  await networkCard("eth0", "02:42:ac:11:00:02");
  expect((await look()).evidence).toEqual({ serial: ["10000000abcdef12"] });
});

test("a PC: what its firmware says, but for what nobody filled in", async () => {
  await files({
    "sys/class/dmi/id/product_uuid": "4C4C4544-0044-3010-8052-B4C04F4A4D32\n",
    "sys/class/dmi/id/board_serial": "Default string\n",
    "sys/class/dmi/id/product_serial": "J0D0RJM2\n",
  });
  const { evidence } = await look();
  expect(evidence).toEqual({
    product_uuid: ["4c4c4544-0044-3010-8052-b4c04f4a4d32"],
    product_serial: ["j0d0rjm2"],
  });
});

test("network interfaces that are not part of the board do not count", async () => {
  await networkCard("eth0", "00:1b:21:00:00:01", "sys/devices/pci0000:00/0000:00:1f.6");
  await networkCard(
    "usb0",
    "00:1b:21:00:00:02",
    "sys/devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0",
  );
  await networkCard("veth1", "00:1b:21:00:00:03");
  await networkCard(
    "dock",
    "00:1b:21:00:00:04",
    "sys/devices/pci0000:00/0000:05:00.0/0000:06:00.0",
  );
  await files({ "sys/devices/pci0000:00/0000:05:00.0/removable": "removable\n" });
  await networkCard("wlan0", "00:1b:21:00:00:05", "sys/devices/pci0000:00/0000:02:00.0", {
    addr_assign_type: "3\n",
  });
  // In a bond every one of them shows the same address.
  await networkCard("eth1", "00:1b:21:00:00:01", "sys/devices/pci0000:00/0000:03:00.0", {
    addr_assign_type: "3\n",
    "bonding_slave/perm_hwaddr": "00:1b:21:00:00:06\n",
  }).catch(() => undefined);
  expect((await look()).evidence).toEqual({ mac: ["00:1b:21:00:00:01", "00:1b:21:00:00:06"] });
});

test("a pod's node is not its hardware; what is set is", async () => {
  await files({ "sys/firmware/devicetree/base/serial-number": "10000000abcdef12\0" });
  await files({ "etc/hosts": "# Kubernetes-managed hosts file.\n127.0.0.1 localhost\n" });
  const { evidence } = await lookAtHardware({ root, set: "line 4" });
  expect(evidence).toEqual({ set: ["line 4"] });
  expect((await look()).passedOver).toMatch(/node/);
});
