/** What became of what was meant for destinations that are no longer configured. */
import { useMemo } from 'react';
import type { Lane } from '../../api/pipelines';
import { laneKey } from '../../lib/flowhistory';
import { formatBytes, formatCount } from '../../lib/units';
import { VirtualTable } from '../../parts/VirtualTable';
import { ReasonList } from './LaneTable';

const COLUMNS = [
  { key: 'destination', title: 'Destination', width: 'minmax(120px, 1.2fr)' },
  { key: 'class', title: 'Class', width: '80px' },
  { key: 'produced', title: 'Produced', width: '108px', align: 'right' as const },
  { key: 'acknowledged', title: 'Acknowledged', width: '108px', align: 'right' as const },
  { key: 'refused', title: 'Refused', width: 'minmax(110px, 1fr)' },
  { key: 'dropped', title: 'Dropped', width: 'minmax(150px, 1.4fr)' },
  { key: 'pending', title: 'Waiting', width: '130px', align: 'right' as const },
];

export function RemovedTable({ lanes }: { lanes: readonly Lane[] }) {
  const sorted = useMemo(
    () => [...lanes].sort((a, b) => b.pending - a.pending || a.destination.localeCompare(b.destination)),
    [lanes],
  );
  return (
    <section className="panel pipeSources" aria-label="No longer configured">
      <div className="row sortedHead">
        <h2>No longer configured</h2>
        <span className="soft">{formatCount(lanes.length)}, those with something left first</span>
      </div>
      <VirtualTable
        label="Destinations no longer configured"
        columns={COLUMNS}
        count={sorted.length}
        height={200}
        rowPx={28}
        fit
        leastPx={860}
        keyOf={(row) => (sorted[row] ? laneKey(sorted[row]) : String(row))}
        cell={(row, column) => {
          const lane = sorted[row];
          if (!lane) return '';
          switch (COLUMNS[column]?.key) {
            case 'destination':
              return lane.destination;
            case 'class':
              return lane.class;
            case 'produced':
              return formatCount(lane.produced);
            case 'acknowledged':
              return formatCount(lane.acknowledged);
            case 'refused':
              return <ReasonList reasons={lane.refused} tone="warn" />;
            case 'dropped':
              return <ReasonList reasons={lane.dropped} tone="bad" />;
            default:
              return lane.pending === 0 ? (
                <span className="faint">none</span>
              ) : (
                <span className="warn">
                  {formatCount(lane.pending)}, {formatBytes(lane.backlogBytes)}
                </span>
              );
          }
        }}
      />
    </section>
  );
}
