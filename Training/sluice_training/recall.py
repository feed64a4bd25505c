"""Synthetic documents that cannot be answered without what was said before: facts, filler, and questions.

Facts and questions lie in a text of fixed length at drawn distances. Each answer's tokens are marked, so that training
can weigh them and evaluation can count them.
"""

from dataclasses import dataclass

# One token each in the vocabulary of infini-small, so they count as names there.
NAMES = (
    "otter ember rabbit feather ribbon saddle onion island ladder hazel turtle barrel velvet orchard hammer tunnel "
    "nugget jewel candle beacon salmon dragon basket kettle insect ocean temple cellar rocket parlor lantern mirror "
    "goblet jacket helmet cactus walnut thimble donkey engine quarry jungle kitten ticket falcon ginger oyster magnet"
).split()


@dataclass
class Piece:
    """A fact or a question: its ids, and which of them are the answer."""

    ids: list[int]
    answer: range


@dataclass
class Document:
    ids: list[int]
    # The answers, in the order of the text.
    answers: list[range]
    # How far each answer is from its fact, in segments or, without segments, in tokens.
    distances: list[int]


class RecallDocuments:
    """Draws documents in a tokenizer's tokens.

    - names: words that stand for things
    - key_digits, number_digits: how long pass keys and named numbers are
    - repeating: the share of numbers that are made of two digits, whose places are easily confused
    """

    def __init__(self, tokenizer, text, names=NAMES, key_digits=5, number_digits=3, repeating=0.0):
        self.tokenizer, self.text, self.names = tokenizer, text, list(names)
        self.key_digits, self.number_digits, self.repeating = key_digits, number_digits, repeating

    def encode(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def piece(self, before, answer, after=""):
        """Three parts, encoded one by one, so that an answer's tokens do not depend on what follows."""
        first, middle = self.encode(before), self.encode(answer)
        return Piece(first + middle + self.encode(after), range(len(first), len(first) + len(middle)))

    def digits(self, random, count):
        """A number; without `repeating` nothing more is drawn than its digits."""
        if self.repeating and random.random() < self.repeating:
            pair = random.sample("0123456789", 2)
            return "".join(random.choice(pair) for _ in range(count))
        return "".join(str(random.randrange(10)) for _ in range(count))

    # Each kind gives facts and, for each fact, its question.

    def pass_key(self, random):
        key = self.digits(random, self.key_digits)
        fact = self.piece(f"\nThe pass key is {key}. Remember it. ", key, " is the pass key.\n")
        return [(fact, self.piece("\nWhat is the pass key? The pass key is ", key, ".\n"))]

    def numbers(self, random, count=None):
        names = random.sample(self.names, min(count or random.randint(1, 4), len(self.names)))
        pairs = []
        for name in names:
            number = self.digits(random, self.number_digits)
            fact = self.piece(f"\nThe number of the {name} is ", number, ".\n")
            pairs.append((fact, self.piece(f"\nWhat is the number of the {name}? The number of the {name} is ", number, ".\n")))
        return pairs

    def lines(self, random, count):
        pairs = []
        for _ in range(random.randint(min(4, count), count)):
            name = f"{random.choice(self.names)}-{random.choice(self.names)}"
            number = self.digits(random, self.key_digits)
            fact = self.piece(f"line {name}: REGISTER_CONTENT is <", number, ">\n")
            question = self.piece(
                f"\nTell me what is the REGISTER_CONTENT in line {name}? The REGISTER_CONTENT in line {name} is <", number, ">\n")
            pairs.append((fact, question))
        return pairs

    def copy(self, random):
        words = " ".join(random.sample(self.names, min(6, len(self.names))))
        fact = self.piece("\nThe words are: ", words, ".\n")
        return [(fact, self.piece("\nSay the words again. The words are: ", words, ".\n"))]

    def mixed(self, random):
        """A pass key, named numbers and words in one document: more to be recalled of each token that is trained on."""
        return self.pass_key(random) + self.numbers(random, 4) + self.copy(random)

    KINDS = ("pass_key", "numbers", "lines", "copy", "mixed")

    def document(self, random, kind, length, segment=None, distance=None, whole=False, questions=2):
        """A text of `length` tokens in which facts of a kind come, filler, and questions.

        - segment: questions lie whole segments after their facts, each at a distance of its own, not just behind them
        - distance: of the facts that are asked for, in segments (without segments, in tokens); drawn where it is nil
        - whole: no fact or question is cut by a segment's end
        - questions: at most so many, and no more than one for every two segments and one
        """
        if segment:
            questions = min(questions, 1 + length // segment // 2)
        # A line has about 30 tokens; a text of lines may be full of them.
        pairs = self.lines(random, max(2, length // 40)) if kind == "lines" else getattr(self, kind)(random)
        asked = random.sample(pairs, min(questions, len(pairs)))
        tail = sum(len(question.ids) for _, question in asked)
        # Other facts leave a tenth of a text of lines to filler, and two thirds of others.
        room = (length * 9 // 10 if kind == "lines" else length // 3) - tail - sum(len(fact.ids) for fact, _ in asked)
        others = []
        for pair in pairs:
            if pair not in asked and len(pair[0].ids) <= room:
                others.append(pair)
                room -= len(pair[0].ids)
        if segment:
            count = length // segment
            place = lambda piece, index: index * segment + random.randint(0, max(0, segment - (len(piece.ids) if whole else 1)))
            facts, ends, last = [], [], 0
            for fact, question in asked:
                # One in ten lies in the segment of its question.
                step = distance
                if step is None:
                    step = 0 if random.random() < 0.1 else random.randint(1, count - 1)
                early = random.randint(0, count - 1 - step)
                last = max(last, early, early + step - 1)
                facts.append((place(fact, early), fact))
                ends.append((max(facts[-1][0], place(question, early + step)), question, fact))
            facts += [(place(fact, random.randint(0, last)), fact) for fact, _ in others]
        else:
            latest = max(0, length - tail - sum(len(fact.ids) for fact, _ in asked + others))
            start = random.randint(0, latest) if distance is None else max(0, latest - distance)
            facts = [(start, fact) for fact, _ in others + asked]
            ends = [(length - tail, question, fact) for fact, question in asked]
        return self.lay_out(random, facts, ends, length, segment, whole)

    def lay_out(self, random, facts, questions, length, segment, whole):
        """Pieces at their places, or right behind the piece before; filler between them."""
        filler = self.text.passage(random, length)
        # A question that begins where its fact does comes after it: the order of equals stays.
        places = sorted([(start, fact, None) for start, fact in facts] + questions, key=lambda one: one[0])
        remaining = sum(len(piece.ids) for _, piece, _ in places)
        ids, answers, starts, distances, used = [], [], {}, [], 0
        for start, piece, fact in places:
            size = len(piece.ids)
            start = max(len(ids), min(start, length - remaining))
            remaining -= size
            if segment and whole and size <= segment and start // segment != (start + size - 1) // segment:
                start = (start // segment + 1) * segment
            if start + size > length:
                continue
            gap = start - len(ids)
            ids += filler[used:used + gap]
            used += gap
            answer = range(start + piece.answer.start, start + piece.answer.stop)
            if fact is None:
                starts[id(piece)] = answer.start
            elif id(fact) in starts:
                answers.append(answer)
                step = segment or 1
                distances.append(answer.start // step - starts[id(fact)] // step)
            ids += piece.ids
        ids += filler[used:used + length - len(ids)]
        return Document(ids, answers, distances)
