import KVCaches
package import ModelJSON

/// How far a cache's attention is from that of a full cache at a position of a text, and what theory says of the keys there.
package struct ErrorMeasurement: Sendable {
  package var attention: AttentionMeasurement
  /// Bytes of the cache.
  package var bytes: Int
  /// Clusters in which the geometry was measured.
  package var clusters: Int
  /// `[layer][KV head]`
  package var geometry: [[HeadGeometry]]

  package init(attention: AttentionMeasurement, bytes: Int, clusters: Int, geometry: [[HeadGeometry]]) {
    self.attention = attention
    self.bytes = bytes
    self.clusters = clusters
    self.geometry = geometry
  }

  /// The mean over the heads of one layer, or (nil) of all layers.
  package func mean(_ value: (HeadGeometry) -> Double, layer: Int? = nil) -> Double {
    let heads = layer.map { geometry[$0] } ?? Array(geometry.joined())
    return heads.reduce(0) { $0 + value($1) } / Double(heads.count)
  }

  /// The middle value over all heads: bounds of some are astronomical.
  package func median(_ value: (HeadGeometry) -> Double, layer: Int? = nil) -> Double {
    let values = (layer.map { geometry[$0] } ?? Array(geometry.joined())).map(value).sorted()
    return values[values.count / 2]
  }

  /// One object.
  package var json: JSONValue {
    [
      "cache": JSONValue(attention.cache), "position": JSONValue(attention.position), "last": JSONValue(attention.last),
      "bytes": JSONValue(bytes), "clusters": JSONValue(clusters), "error": JSONValue(attention.error),
      "layers": .array(
        zip(attention.layers, geometry).map { layer, heads in
          [
            "error": JSONValue(layer.error), "headErrors": .array(layer.headErrors.map { JSONValue($0) }),
            "heads": .array(heads.map { Self.json($0) }),
          ]
        }),
    ]
  }

  private static func json(_ head: HeadGeometry) -> JSONValue {
    // JSON has no infinity, and exp reaches it soon.
    let number = { (value: Double) in value.isFinite ? JSONValue(value) : JSONValue.null }
    return [
      "delta": number(head.radius), "r": number(head.queryNorm), "deltaR": number(head.radius * head.queryNorm),
      "stableRank": number(head.stableRank), "logitSpread": number(head.logitSpread),
      "sampleBound": number(head.sampleBound), "clusterBound": number(head.clusterBound),
      "keys": json(head.keys), "values": json(head.values),
    ]
  }

  private static func json(_ cloud: PointCloud) -> JSONValue {
    [
      "radius": JSONValue(cloud.radius), "norm": JSONValue(cloud.norm), "spread": JSONValue(cloud.spread),
      "clusters": cloud.clusters.map { JSONValue($0) } ?? .null,
    ]
  }
}
