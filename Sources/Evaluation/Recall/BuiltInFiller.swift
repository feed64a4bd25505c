import Engine

extension FillerText {
  /// Sentences about a village by a river, always the same: filler where no text is given.
  package static let builtIn: FillerText = {
    var random = RandomSource(seed: 1)
    func one(of words: [String]) -> String { words[random.below(words.count)] }
    let text = (0..<3000).map { _ in
      "\(one(of: openings)) \(one(of: people)) \(one(of: deeds)) \(one(of: things)) \(one(of: places))."
    }
    var filler = FillerText()
    let isText = filler.append(Array(text.joined(separator: " ").utf8))
    assert(isText)
    return filler
  }()

  private static let openings = [
    "In the morning", "Late in the evening", "After the rain", "Before the market opened", "On most days",
    "When the wind turned", "As the bells rang", "Without a word", "For the third time that week",
    "To nobody's surprise",
    "Between two showers", "At the end of summer", "While the kettle sang", "Once the road was dry", "By lamplight",
    "Early in the year",
  ]
  private static let people = [
    "the miller", "the ferryman", "an old teacher", "the baker's daughter", "two of the carters", "the postmaster",
    "a stranger from the hills", "the gardener", "the organist", "a boy with a red scarf", "the clockmaker",
    "the widow next door", "the lock keeper", "somebody's uncle", "the weaver", "the new doctor",
  ]
  private static let deeds = [
    "carried", "looked for", "mended", "talked about", "painted", "sold", "forgot", "praised", "measured", "hid",
    "drew a picture of", "asked after", "paid for", "cleaned", "laughed at", "waited for",
  ]
  private static let things = [
    "a basket of apples", "the broken gate", "three blue jars", "the long ladder", "a letter without a stamp",
    "the small boat", "an empty birdcage", "the church clock", "a sack of flour", "the schoolroom stove",
    "a bundle of reeds", "the crooked chimney", "a pair of boots", "the brass lantern", "a cart full of hay",
    "the neighbour's goat",
  ]
  private static let places = [
    "beside the mill pond", "under the chestnut trees", "at the far end of the bridge", "in front of the inn",
    "on the way to the station", "behind the bakery", "near the old quarry", "along the river path",
    "at the foot of the hill", "in the shade of the wall", "outside the town hall", "by the garden door",
    "where the two roads meet", "on the lower meadow", "in the narrow lane", "close to the weir",
  ]
}

/// Names for what is asked for: ten thousand pairs of a quality and a thing.
enum RecallNames {
  /// The name with this number; numbers beyond the pairs get a count behind.
  static func name(_ index: Int) -> String {
    let (round, pair) = index.quotientAndRemainder(dividingBy: count)
    let name = "\(qualities[pair / things.count])-\(things[pair % things.count])"
    return round == 0 ? name : "\(name)-\(round + 1)"
  }

  static var count: Int { qualities.count * things.count }

  static let qualities = split(
    """
    able airy amber ample antique awake bare bitter blank blunt bold brave brief bright brisk broad busy calm candid \
    careful cheap civil clean clever cloudy coarse cosy crisp curious damp dark deep dense dim distant dry dusty eager \
    early empty exact faint fair famous fast fine firm flat fond formal free fresh full gentle giant glad golden grand \
    grave great hard hasty heavy hidden hollow honest humble idle keen kind large late lean level light lively local \
    lofty lonely loud lucky mellow mild modest narrow neat noble odd pale patient plain polite proud quick quiet rapid \
    rare rough royal sharp
    """)
  static let things = split(
    """
    acorn anchor anvil apron arrow attic badge balcony barrel basin beacon bell bench blanket bottle bridge broom bucket \
    button cabin candle canvas carpet castle cellar chapel chimney cliff clock cloud collar compass corner cradle \
    curtain cushion desk dial ditch drum engine fabric falcon feather fence fiddle forest fountain furnace garden garland \
    glove grain hammer harbor hedge helmet hinge island jacket jewel kettle ladder lantern lever lily magnet mantle \
    market meadow mirror needle orchard paddle palace parcel pebble pencil pillow planet pocket quarry ribbon river \
    saddle sail shovel signal spindle statue temple thimble timber tower trumpet tunnel valley wagon walnut whistle
    """)

  private static func split(_ words: String) -> [String] { words.split(separator: " ").map { String($0) } }
}
