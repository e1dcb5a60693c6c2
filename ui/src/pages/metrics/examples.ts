/** Queries to start from. Each names the metrics it reads, so that only those that this node can answer are offered first. */
export interface Example {
  title: string;
  needs: string;
  expr: string;
}

export const EXAMPLES: readonly Example[] = [
  {
    title: 'CPU busy',
    needs: 'system_cpu_utilization_ratio',
    expr: '1 - avg(system_cpu_utilization_ratio{cpu_mode="idle"})',
  },
  {
    title: 'CPU by mode',
    needs: 'system_cpu_time_seconds_total',
    expr: 'sum by (cpu_mode) (rate(system_cpu_time_seconds_total[1m]))',
  },
  {
    title: 'Memory by state',
    needs: 'system_memory_usage_bytes',
    expr: 'sum by (system_memory_state) (system_memory_usage_bytes)',
  },
  {
    title: 'Disk throughput',
    needs: 'system_disk_io_bytes_total',
    expr: 'sum by (system_device, disk_io_direction) (rate(system_disk_io_bytes_total[1m]))',
  },
  {
    title: 'File systems in use',
    needs: 'system_filesystem_usage_bytes',
    expr: 'sum by (system_filesystem_mountpoint) (system_filesystem_usage_bytes{system_filesystem_state="used"})',
  },
  {
    title: 'Network throughput',
    needs: 'system_network_io_bytes_total',
    expr: 'sum by (network_interface_name, network_io_direction) (rate(system_network_io_bytes_total[1m]))',
  },
  {
    title: 'Items taken in',
    needs: 'orrery_store_items_accepted_total',
    expr: 'sum by (signal) (rate(orrery_store_items_accepted_total[1m]))',
  },
  { title: 'Targets up', needs: 'up', expr: 'up' },
];

/** Those whose metric exists, then the rest: an example that draws nothing teaches nothing. */
export function offered(names: ReadonlySet<string>): { example: Example; present: boolean }[] {
  return EXAMPLES.map((example) => ({ example, present: names.has(example.needs) })).sort(
    (a, b) => Number(b.present) - Number(a.present),
  );
}
