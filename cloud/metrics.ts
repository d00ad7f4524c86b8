/** The cloud's Prometheus metrics, read from its status and its ledger at scrape, so that counting costs nothing. */
import { Counter, Gauge, type Registry } from "@prometheus-io/client";
import { sumTotals } from "./audit.core.ts";
import type { Cloud, TopologyStatus } from "./cloud.ts";
import type { LedgerTotals, ReadModel } from "./read-model/port.ts";

/** Registers the cloud's metrics. */
export function registerCloudMetrics(registry: Registry, cloud: Cloud): void {
  const registers = [registry];
  const perTopology = (
    name: string,
    help: string,
    read: (status: TopologyStatus) => number,
  ): void => {
    const counts = name.endsWith("_total");
    const labelNames = ["topology"];
    if (counts) {
      new Counter({
        name,
        help,
        labelNames,
        registers,
        collect() {
          this.reset();
          for (const one of cloud.status().topologies) this.inc({ topology: one.name }, read(one));
        },
      });
    } else {
      new Gauge({
        name,
        help,
        labelNames,
        registers,
        collect() {
          for (const one of cloud.status().topologies) this.set({ topology: one.name }, read(one));
        },
      });
    }
  };
  perTopology(
    "tidegate_topology_lag_records",
    "Records of the inputs that are not processed yet.",
    (status) => status.lag,
  );
  perTopology(
    "tidegate_topology_lag_seconds",
    "How long ago the oldest record that is not processed yet was sent.",
    (status) => status.lagSeconds,
  );
  perTopology(
    "tidegate_topology_records_total",
    "Records processed since the start.",
    (status) => status.recordsProcessed,
  );
  perTopology(
    "tidegate_topology_commits_total",
    "Commits since the start: outputs, state and position together.",
    (status) => status.commits,
  );
  perTopology(
    "tidegate_topology_commit_seconds_total",
    "Time spent on commits since the start; over the number of commits it is their latency.",
    (status) => status.commitSeconds,
  );
  perTopology(
    "tidegate_topology_restoring_partitions",
    "Partitions whose state is being brought here from the changelog.",
    (status) => status.restoring,
  );
  perTopology(
    "tidegate_topology_restored_records_total",
    "Records of the changelog read to bring state here, since the start.",
    (status) => status.restored,
  );
  perTopology(
    "tidegate_topology_up",
    "1 while the topology runs, 0 while it waits for the log or has failed.",
    (status) => Number(status.state === "running"),
  );
  // Without one nobody here knows, and a zero would be a lie.
  if (cloud.readModel) registerReadModelMetrics(registry, cloud.readModel);
}

/** Registers what a read model knows, in the process that has one. */
export function registerReadModelMetrics(registry: Registry, readModel: ReadModel): void {
  const registers = [registry];
  new Gauge({
    name: "tidegate_gateway_ids_shared",
    help: "Gateway ids that two gateways or more use now: should be 0.",
    registers,
    async collect() {
      const views = await readModel.gateways();
      this.set(views.filter(({ sharedBy }) => sharedBy).length);
    },
  });

  const ofLedger = (name: string, help: string, read: (totals: LedgerTotals) => number): void => {
    new Gauge({
      name,
      help,
      registers,
      async collect() {
        this.set(read(sumTotals(await readModel.ledger())));
      },
    });
  };
  const events = "Events of all gateways' journals";
  ofLedger("tidegate_ledger_accepted_events", `${events} that they claim.`, (t) => t.accepted);
  ofLedger("tidegate_ledger_arrived_events", `${events} that arrived.`, (t) => t.arrived);
  ofLedger("tidegate_ledger_on_the_way_events", `${events} to come.`, (t) => t.onTheWay);
  ofLedger("tidegate_ledger_missing_events", `${events} missing: should be 0.`, (t) => t.missing);
  ofLedger("tidegate_ledger_duplicate_events", `${events} that came again.`, (t) => t.duplicates);
  ofLedger("tidegate_ledger_lost_events", `${events} declared lost.`, (t) => t.declaredLost);
}
