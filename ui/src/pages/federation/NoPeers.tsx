/** A node that asks nobody yet: how it comes to. */

const SNIPPET = `# orrery.yaml of the node that asks
cluster: ops-01
tls: {cert: ops-01.crt, key: ops-01.key, ca: ca.crt}
peers:
  - {name: prod-01, address: "prod-01.example.com:9495"}
  # an existing stack joins as it is
  - {name: legacy, kind: prometheus, url: "http://prometheus:9090", labels: {cluster: legacy}}`;

const CERTIFICATES = `orrery certs init ca
orrery certs issue ca ops-01 --dns ops-01.example.com
orrery certs issue ca prod-01 --dns prod-01.example.com`;

export function NoPeers() {
  return (
    <section className="panel noPeers" aria-label="No peers">
      <h2>This node asks nobody but itself</h2>
      <p>
        Name the clusters it should answer for. Each keeps its own data; a query asks those whose labels and time can
        match, and every answer says who was not there.
      </p>
      <pre>
        <code>{SNIPPET}</code>
      </pre>
      <p>Both sides prove who they are. Certificates, where nothing else makes them:</p>
      <pre>
        <code>{CERTIFICATES}</code>
      </pre>
      <p className="soft">
        The other side listens for peers with <code>listen: {'{peers: "0.0.0.0:9495"}'}</code>. Peers stand here as soon
        as the configuration is read, also those that were never reached.
      </p>
    </section>
  );
}
