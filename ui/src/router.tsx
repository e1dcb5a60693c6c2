/** The routes, and which chunk each page lives in. Paths are part of the interface: people keep them in runbooks. */
import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from '@tanstack/react-router';
import { Failure, NotFound } from './parts/Failure';
import { Shell } from './shell/Shell';
import {
  cardinalitySearch,
  catalogSearch,
  commonSearch,
  compareSearch,
  federationSearch,
  fleetSearch,
  logsSearch,
  metricsSearch,
  parseSearch,
  pipelinesSearch,
  serviceSearch,
  servicesSearch,
  stringifySearch,
  topologySearch,
  traceSearch,
  tracesSearch,
} from './state/search';

const root = createRootRoute({ component: Shell, validateSearch: commonSearch, notFoundComponent: NotFound });

const fleet = createRoute({
  getParentRoute: () => root,
  path: '/',
  validateSearch: fleetSearch,
  component: lazyRouteComponent(() => import('./pages/fleet/FleetPage')),
});

const federation = createRoute({
  getParentRoute: () => root,
  path: '/federation',
  validateSearch: federationSearch,
  component: lazyRouteComponent(() => import('./pages/federation/FederationPage')),
});

const pipelines = createRoute({
  getParentRoute: () => root,
  path: '/pipelines',
  validateSearch: pipelinesSearch,
  component: lazyRouteComponent(() => import('./pages/pipelines/PipelinesPage')),
});

const metrics = createRoute({
  getParentRoute: () => root,
  path: '/metrics',
  validateSearch: metricsSearch,
  component: lazyRouteComponent(() => import('./pages/metrics/MetricsPage')),
});

const catalog = createRoute({
  getParentRoute: () => root,
  path: '/metrics/catalog',
  validateSearch: catalogSearch,
  component: lazyRouteComponent(() => import('./pages/catalog/CatalogPage')),
});

const cardinality = createRoute({
  getParentRoute: () => root,
  path: '/metrics/cardinality',
  validateSearch: cardinalitySearch,
  component: lazyRouteComponent(() => import('./pages/cardinality/CardinalityPage')),
});

const logs = createRoute({
  getParentRoute: () => root,
  path: '/logs',
  validateSearch: logsSearch,
  component: lazyRouteComponent(() => import('./pages/logs/LogsPage')),
});

const traces = createRoute({
  getParentRoute: () => root,
  path: '/traces',
  validateSearch: tracesSearch,
  component: lazyRouteComponent(() => import('./pages/traces/TracesPage')),
});

const trace = createRoute({
  getParentRoute: () => root,
  path: '/trace/$id',
  validateSearch: traceSearch,
  component: lazyRouteComponent(() => import('./pages/trace/TracePage')),
});

const compare = createRoute({
  getParentRoute: () => root,
  path: '/traces/compare',
  validateSearch: compareSearch,
  component: lazyRouteComponent(() => import('./pages/compare/ComparePage')),
});

const topology = createRoute({
  getParentRoute: () => root,
  path: '/topology',
  validateSearch: topologySearch,
  component: lazyRouteComponent(() => import('./pages/topology/TopologyPage')),
});

const services = createRoute({
  getParentRoute: () => root,
  path: '/services',
  validateSearch: servicesSearch,
  component: lazyRouteComponent(() => import('./pages/services/ServicesPage')),
});

const service = createRoute({
  getParentRoute: () => root,
  path: '/services/$name',
  validateSearch: serviceSearch,
  component: lazyRouteComponent(() => import('./pages/service/ServicePage')),
});

export const router = createRouter({
  routeTree: root.addChildren([
    fleet,
    federation,
    pipelines,
    metrics,
    catalog,
    cardinality,
    logs,
    traces,
    trace,
    compare,
    topology,
    services,
    service,
  ]),
  basepath: '/ui',
  parseSearch,
  stringifySearch,
  defaultPreload: 'intent',
  defaultErrorComponent: Failure,
  scrollRestoration: false,
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
