import Evaluation
import Testing

@Suite struct TextTableTests {
  @Test func `columns are aligned and lines end without blanks`() {
    var table = TextTable([
      TextTable.Column("cache"), TextTable.Column("perplexity", .trailing), TextTable.Column("note"),
    ])
    table.append(["full", "40.32", "breaks at 8,192"])
    table.append(["streaming-llm:4+508", "1234567.5", ""])
    let expected = """
      cache                perplexity  note
      -------------------  ----------  ---------------
      full                      40.32  breaks at 8,192
      streaming-llm:4+508   1234567.5

      """
    #expect(table.text == expected)
  }

  @Test func `a cell counts characters and cannot break the line`() {
    var table = TextTable([TextTable.Column("n"), TextTable.Column("é", .trailing)])
    table.append(["a\nb\u{1B}[2J", "naïve"])
    table.append(["👩‍👩‍👧", "x"])
    #expect(table.lines == ["n            é", "-------  -----", "a b [2J  naïve", "👩‍👩‍👧            x"])
  }

  @Test func `a table without rows or columns is still a table`() {
    #expect(TextTable([TextTable.Column("a")]).text == "a\n-\n")
    #expect(TextTable([]).lines == ["", ""])
  }
}
