/** Lines as a file: those that are loaded, or all of the range up to a bound, with what is done so far. */
import { Menu } from '@mantine/core';
import type { LogLine } from '../../api/loki';
import type { Order } from '../../lib/loglines';
import { formatCount } from '../../lib/units';
import { type Format, MOST_SAVED, useDownload } from './useDownload';
import type { Logs } from './useLogs';

interface Props {
  logs: Logs;
  lines: readonly LogLine[];
  order: Order;
}

const FORMATS: readonly Format[] = ['csv', 'json'];

export function Download({ logs, lines, order }: Props) {
  const { state, saveShown, saveAll, cancel, dismiss } = useDownload(logs, order);
  if (state.kind !== 'idle') {
    const share = state.kind === 'running' ? state.share : 1;
    return (
      <span className="row downloading" role="status">
        {state.kind === 'running' ? <progress value={share} max={1} aria-label="Download" /> : null}
        <span className={state.kind === 'failed' ? 'bad' : 'soft'}>
          {state.kind === 'running' ? `${formatCount(state.lines)} lines` : state.text}
        </span>
        <button type="button" className="linkish" onClick={state.kind === 'running' ? cancel : dismiss}>
          {state.kind === 'running' ? 'Cancel' : 'Close'}
        </button>
      </span>
    );
  }
  return (
    <Menu position="bottom-end" width={300}>
      <Menu.Target>
        <button type="button" className="btn quiet" disabled={lines.length === 0}>
          Download
        </button>
      </Menu.Target>
      <Menu.Dropdown>
        {FORMATS.map((format) => (
          <Menu.Item key={format} onClick={() => saveShown(lines, format)}>
            The {formatCount(lines.length)} loaded lines as {format.toUpperCase()}
          </Menu.Item>
        ))}
        {FORMATS.map((format) => (
          <Menu.Item key={`all ${format}`} onClick={() => void saveAll(format)}>
            All of the range as {format.toUpperCase()}, up to {formatCount(MOST_SAVED)}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}
