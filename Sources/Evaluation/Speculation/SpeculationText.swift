/// What a model is asked to write where guesses are measured: two texts that repeat their prompt, and one that does not.
package struct SpeculationText: Sendable {
  package let name: String
  package let request: String

  package static let all = [
    SpeculationText(
      name: "summary",
      request: """
        Summarize the report below. Quote the important sentences word for word.

        The harbour of Veldmoor was closed for nine days after the storm of 3 March. The northern breakwater lost forty metres \
        of its crown wall, and two of the three cranes on the grain quay were thrown off their rails. According to the harbour \
        master, "no ship was lost, because every ship that could sail had sailed the evening before". The insurance council \
        puts the damage at eleven million crowns, of which the province will pay four. Repairs to the breakwater begin in May \
        and will take until October; until then ships of more than six metres draught have to wait for the tide. The grain \
        merchants have asked for a second rail line to the southern quay, "since a harbour with one way in and one way out is \
        a harbour with none". The council will decide on the rail line in June, after the engineers have measured the ground. \
        The fishing fleet was not harmed, and went out again on the tenth day.
        """),
    SpeculationText(
      name: "code edit",
      request: """
        Rename the function total to sumOfPrices in this program. Write the whole program again and change nothing else.

        ```python
        class Basket:
            def __init__(self, owner):
                self.owner = owner
                self.items = []

            def add(self, name, price, count=1):
                if price < 0:
                    raise ValueError("a price is not negative")
                self.items.append((name, price, count))

            def total(self):
                result = 0
                for name, price, count in self.items:
                    result += price * count
                return result

            def remove(self, name):
                self.items = [item for item in self.items if item[0] != name]

            def report(self):
                lines = []
                for name, price, count in self.items:
                    lines.append(f"{count} x {name} at {price}")
                lines.append(f"total: {self.total()}")
                return "\\n".join(lines)


        basket = Basket("Ada")
        basket.add("bread", 3)
        basket.add("apples", 2, 4)
        print(basket.report())
        print(basket.total())
        ```
        """),
    SpeculationText(
      name: "story", request: "Tell me a long story about a lighthouse keeper who finds a door in the sea."),
  ]
}
