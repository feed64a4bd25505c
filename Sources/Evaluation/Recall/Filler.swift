import Engine

/// What fills a prompt around a fact.
package enum Filler: Sendable {
  /// Successive sentences of a text.
  case sentences(FillerText)
  /// Common words, each drawn by itself.
  case words

  /// Pieces of the filler, to be joined by blanks, until `body` returns false.
  func forEachPiece(from random: inout RandomSource, _ body: (String) -> Bool) {
    switch self {
    case .sentences(let text): text.forEachSentence(from: &random, body)
    case .words: while body(CommonWords.all[random.below(CommonWords.all.count)]) {}
    }
  }
}

/// Words that any English vocabulary has, and that say nothing of keys, numbers or questions.
enum CommonWords {
  static let all = [
    "above across after again air alive along already among animal apple arm around art autumn baby back bag baker bank",
    "barn basket bath bean bear beautiful become bed bee before behind bell below bench bend berry beside bird bit black",
    "blow blue board boat body bone book boot borrow bottle bottom bowl box boy branch brave bread break breakfast breath",
    "brick bring broad brother brown brush build bus bush busy butter button buy cake calm camp candle car careful carpet",
    "carry cat catch chair chalk change cheap cheese chest chicken child choose church circle city class clay clean clear",
    "climb clock close cloth cloud coal coat coffee cold collect color comb common cook cool copper corn corner cotton",
    "country cover cow cream cross crowd cry cup curtain cut daily dance dark daughter day dear deep deer desk different",
    "dig dinner dirt dish distant doctor dog door down draw dream dress drink drive drop dry duck dust early earth east",
    "easy eat edge egg elbow empty end enjoy evening every eye face fall family farm fast father feather feed feel fence",
    "field fill finger fire fish flat flour flower fly fold follow food foot forest forget fork fox free fresh friend fruit",
    "full garden gate gentle girl give glad glass goat gold good grain grandmother grass gray green ground grow guest hair",
    "hall hammer hand happy harbor hard hat hay head hear heart heavy help hen hill hold hole holiday honey hope horse hot",
    "hour house hungry husband ice inside iron island jacket join joy juice jump kitchen kite knee knife lady lake lamb",
    "lamp land large late laugh lazy leaf learn leather leave left leg lemon letter light line lion lip listen little live",
    "long loose loud love low lucky lunch make map market meal meat meet melon metal middle milk mill minute mirror money",
    "moon morning mother mountain mouse mouth move mud music nail narrow near neck needle neighbor nest net new night noise",
    "north nose nurse oak ocean often oil old onion open orange order oven owl paint pale paper parent park party path peace",
    "pear pen pencil people pepper piano picnic picture pig pillow pink pipe place plain plant plate play pleasant plum",
    "pocket pond poor porch pot potato pour pretty proud pull pupil purple push put quick quiet rabbit rain raise read ready",
    "red rest rice rich ride right ring ripe rise river road rock roof room root rope rose rough round row run sad safe sail",
    "salt sand save school sea seat seed sell send shade shadow shake shape sharp sheep shelf shell shine ship shirt shoe",
    "shop shore short shout shut side silk silver simple sing sister sit skin sky sleep slow small smell smile smoke smooth",
    "snow soap soft soil son song soup south spoon spread spring square stable stair stand star start station stay steam",
    "steep step stick stone stop store storm story stove straight strange straw stream street strong sugar summer sun sweet",
    "swim table tail take talk tall taste tea teach tell tent thick thin thread throw thunder tide tie tiny tired today",
    "together tomorrow tongue tool tooth touch towel tower town toy train travel tree true trunk turn uncle under valley",
    "village visit voice wait wake walk wall warm wash watch water wave way weather week west wet wheat wheel white wide wife",
    "wild wind window winter wise wolf woman wood wool work world yard year yellow yesterday young",
  ].flatMap { line in line.split(separator: " ").map { String($0) } }
}
