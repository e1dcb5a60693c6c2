/** Lays a graph out away from the page, which stays alive meanwhile. */
import { type LayoutRequest, layoutGraph } from '../../lib/graphlayout';

self.onmessage = (event: MessageEvent<{ id: number; request: LayoutRequest }>) => {
  const { id, request } = event.data;
  try {
    self.postMessage({ id, laid: layoutGraph(request) });
  } catch (error) {
    self.postMessage({ id, error: error instanceof Error ? error.message : String(error) });
  }
};
