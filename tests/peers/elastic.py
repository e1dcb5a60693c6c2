"""Writes and reads documents through elasticsearch-py and opensearch-py, unmodified.

usage: elastic.py URL COUNT

Prints one JSON object of what each client saw.
"""

import json
import sys

import elasticsearch
import elasticsearch.helpers
import opensearchpy
import opensearchpy.helpers


def documents(index, count, action):
    for number in range(count):
        yield {
            "_op_type": action,
            "_index": index,
            "_id": f"{index}-{number}",
            "message": f"line {number} of {count}",
            "number": number,
            "nested": {"even": number % 2 == 0, "list": [number, "x"]},
        }
    yield {"_op_type": action, "_index": index, "_id": f"{index}-bad", "@timestamp": "not a time"}


def through(client, helpers, index, count):
    """The same by either client."""
    stored, errors = helpers.bulk(
        client, documents(index, count, "create"), raise_on_error=False, chunk_size=100
    )
    again, conflicts = helpers.bulk(
        client, documents(index, count, "create"), raise_on_error=False, chunk_size=100
    )
    status = lambda e: e["create"]["status"]
    read = {hit["_id"]: hit["_source"] for hit in helpers.scan(client, index=index, size=150)}
    wrong = [
        number
        for number in range(count)
        if read[f"{index}-{number}"]["nested"] != {"even": number % 2 == 0, "list": [number, "x"]}
    ]
    body = {
        "size": 0,
        "query": {"query_string": {"query": "message:line AND nested.even:true"}},
        "aggs": {"sum": {"sum": {"field": "number"}}},
    }
    if client.__module__.startswith("opensearch"):
        found = client.search(index=index, body=body)
    else:
        found = client.search(index=index, **body)
    return {
        "stored": stored,
        "errors": [status(e) for e in errors],
        "again": again,
        "conflicts": sorted({status(e) for e in conflicts}),
        "conflict_count": len(conflicts),
        "read": len(read),
        "wrong": wrong,
        "even": found["hits"]["total"]["value"],
        "sum": found["aggregations"]["sum"]["value"],
        "count": client.count(index=index)["count"],
    }


def main():
    url, count = sys.argv[1], int(sys.argv[2])
    seen = {}
    client = elasticsearch.Elasticsearch(url)
    seen["elasticsearch"] = through(client, elasticsearch.helpers, "py-elastic", count)
    client = opensearchpy.OpenSearch(url)
    seen["opensearch"] = through(client, opensearchpy.helpers, "py-open", count)
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
