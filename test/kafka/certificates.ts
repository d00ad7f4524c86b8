/**
 * Certificates for tests, made with openssl in a temporary folder: two CAs that do not know each other, a broker's for
 * `localhost` alone, one of yesterday, and a client's. All as PEM files, as Kafka and we read them.
 */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { missingCommand } from "../debian.ts";

const exec = promisify(execFile);

export interface Issued {
  readonly cert: string;
  readonly key: string;
  /** Key, certificate and CA in one file: a PEM keystore of Kafka. */
  readonly keystore: string;
}

/** @returns why the test is skipped, where there is no openssl */
export function noCertificates(): Promise<string | undefined> {
  return missingCommand("openssl", "openssl");
}

export class Certificates {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async make(): Promise<Certificates> {
    const made = new Certificates(await mkdtemp(join(tmpdir(), "tidegate-certificates-")));
    await made.authority("ca");
    return made;
  }

  file(name: string): string {
    return join(this.folder, name);
  }

  get ca(): string {
    return this.file("ca.pem");
  }

  /** Another CA, of which nobody has heard. */
  async authority(name: string): Promise<string> {
    await this.#openssl(
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
      ...["-subj", `/CN=${name}`, "-days", "2"],
      ...["-keyout", `${name}.key`, "-out", `${name}.pem`],
    );
    return this.file(`${name}.pem`);
  }

  /** @param days until it expires; below 0 it has */
  async issue(
    name: string,
    { subject = `/CN=${name}`, names = "DNS:localhost", days = 2, authority = "ca" } = {},
  ): Promise<Issued> {
    await this.#openssl(
      ...["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
      ...["-subj", subject, "-keyout", `${name}.key`, "-out", `${name}.csr`],
    );
    await writeFile(this.file(`${name}.ext`), `subjectAltName=${names}\n`);
    await this.#openssl(
      ...["x509", "-req", "-in", `${name}.csr`, "-CA", `${authority}.pem`],
      ...["-CAkey", `${authority}.key`, "-CAcreateserial", "-days", String(days)],
      ...["-extfile", `${name}.ext`, "-out", `${name}.crt`],
    );
    const parts = await Promise.all(
      [`${name}.key`, `${name}.crt`, `${authority}.pem`].map((one) => readFile(this.file(one))),
    );
    await writeFile(this.file(`${name}.pem`), parts.map(String).join(""));
    return {
      cert: this.file(`${name}.crt`),
      key: this.file(`${name}.key`),
      keystore: this.file(`${name}.pem`),
    };
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }

  async #openssl(...args: string[]): Promise<void> {
    await exec("openssl", args, { cwd: this.folder });
  }
}
