// SPDX-License-Identifier: Apache-2.0
// The page: what it says is what happened, on hosts of three sizes, and no name gets out of its
// place.
#include "agent/report/page.h"

#include <gtest/gtest.h>
#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <libxml/xpathInternals.h>

#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/report/made_samples.h"

namespace corral::report {
namespace {

// A page as XML, which it has to be.
class Document {
 public:
  explicit Document(const std::string& page)
      : doc_(xmlReadMemory(page.data(), static_cast<int>(page.size()), "page", nullptr,
                           XML_PARSE_NONET | XML_PARSE_HUGE),
             xmlFreeDoc) {
    EXPECT_NE(doc_, nullptr) << page.substr(0, 2000);
  }

  // The texts of what the expression finds; h: is for HTML, s: for what is in pictures.
  std::vector<std::string> Find(const std::string& expression) const {
    std::vector<std::string> texts;
    if (doc_ == nullptr) return texts;
    const std::unique_ptr<xmlXPathContext, decltype(&xmlXPathFreeContext)> context(
        xmlXPathNewContext(doc_.get()), xmlXPathFreeContext);
    xmlXPathRegisterNs(context.get(), Chars("h"), Chars("http://www.w3.org/1999/xhtml"));
    const std::unique_ptr<xmlXPathObject, decltype(&xmlXPathFreeObject)> found(
        xmlXPathEvalExpression(Chars(expression.c_str()), context.get()), xmlXPathFreeObject);
    EXPECT_NE(found, nullptr) << expression;
    if (found == nullptr || found->nodesetval == nullptr) return texts;
    for (int i = 0; i < found->nodesetval->nodeNr; ++i) {
      xmlChar* const text = xmlNodeGetContent(found->nodesetval->nodeTab[i]);
      texts.emplace_back(reinterpret_cast<const char*>(text));
      xmlFree(text);
    }
    return texts;
  }
  std::string All(const std::string& expression) const {
    std::string all;
    for (const std::string& text : Find(expression)) absl::StrAppend(&all, text, "\n");
    return all;
  }

 private:
  static const xmlChar* Chars(const char* text) { return reinterpret_cast<const xmlChar*>(text); }
  const std::unique_ptr<xmlDoc, decltype(&xmlFreeDoc)> doc_;
};

std::string PageOf(const std::vector<Sample>& samples) {
  const absl::StatusOr<Summary> summary = Summarize(samples);
  EXPECT_TRUE(summary.ok()) << summary.status();
  return Page(*summary, {.subject = "a <host>", .zone = absl::UTCTimeZone()});
}

struct Host {
  int cpus, domains;
};
class PageOfHost : public testing::TestWithParam<Host> {
 protected:
  PageOfHost()
      : page_(PageOf(MadeSamples({.cpus = GetParam().cpus, .domains = GetParam().domains}, 90))),
        document_(page_) {}
  const std::string page_;
  const Document document_;
};
INSTANTIATE_TEST_SUITE_P(Sizes, PageOfHost,
                         testing::Values(Host{8, 4}, Host{112, 60}, Host{256, 200}));

TEST_P(PageOfHost, HasEveryDomainAndCore) {
  const size_t domains = GetParam().domains;
  EXPECT_EQ(document_.Find("//h:section[@aria-labelledby='domains']//h:tbody/h:tr").size(),
            domains);
  EXPECT_EQ(document_.Find("//h:details").size(), domains);
  const std::string names = document_.All("//h:th[@class='name']");
  EXPECT_TRUE(absl::StrContains(names, kBusyName));
  EXPECT_TRUE(absl::StrContains(names, absl::StrCat("vm-", domains - 1)));
  EXPECT_TRUE(
      absl::StrContains(document_.All("//h:header"),
                        absl::StrCat(GetParam().cpus, " CPUs, ", GetParam().cpus / 2, " cores")));
  // Readable: a page of some megabytes opens at once.
  EXPECT_LT(page_.size(), 3'000'000u);
}

TEST_P(PageOfHost, TellsWhatHappened) {
  const std::string incidents = document_.All("//h:section[@aria-labelledby='incidents']");
  for (const char* what : {"Breach", "Missed budget", "Agent stalled", "Class not in charge",
                           "The class was put out of charge", "Auditor: exposure"})
    EXPECT_TRUE(absl::StrContains(incidents, what)) << what << " in " << incidents;
  EXPECT_FALSE(absl::StrContains(incidents, "Rescue"));
  EXPECT_FALSE(absl::StrContains(incidents, "Not recorded"));
  const std::string tiles = document_.All("//h:dl[@class='tiles']");
  EXPECT_TRUE(absl::StrContains(tiles, "Broken")) << tiles;
  EXPECT_TRUE(absl::StrContains(tiles, "missed")) << tiles;
  // It missed something, so it comes first.
  EXPECT_EQ(document_.Find("//h:th[@class='name']").front(), kBusyName);
  // "A third of 1.5": waits are 0.51 of use, which makes 0.51 / 1.51 of what was wanted.
  EXPECT_TRUE(absl::StrContains(document_.All("//h:details"), "33.8%") ||
              absl::StrContains(tiles, "33.8%"))
      << tiles;
  EXPECT_TRUE(absl::StrContains(document_.All("//h:section[@aria-labelledby='numa']"), "90.0%"));
  const std::string domains = document_.All("//h:section[@aria-labelledby='domains']");
  EXPECT_TRUE(absl::StrContains(domains, "50us")) << domains;
  EXPECT_TRUE(absl::StrContains(domains, "10ms")) << domains;
}

TEST_P(PageOfHost, IsWholeByItself) {
  EXPECT_EQ(document_
                .Find("//h:script | //h:link | //h:img | //h:iframe | //h:base | //@src | "
                      "//@onclick | //@style")
                .size(),
            0u);
  for (const std::string& target : document_.Find("//@href"))
    EXPECT_TRUE(absl::StartsWith(target, "#")) << target;
  EXPECT_FALSE(absl::StrContains(page_, "url("));
  EXPECT_FALSE(absl::StrContains(page_, "@import"));
}

TEST_P(PageOfHost, CanBeReadWithoutSeeing) {
  // Every picture says what it shows, or is said to add nothing.
  const size_t pictures = document_.Find("//h:svg").size();
  EXPECT_GT(pictures, 3u);
  EXPECT_EQ(
      document_.Find("//h:svg[@role='img' and @aria-labelledby and h:title and h:desc]").size() +
          document_.Find("//h:svg[@aria-hidden='true']").size(),
      pictures);
  EXPECT_EQ(document_.Find("//h:h1").size(), 1u);
  EXPECT_EQ(document_.Find("//h:table[not(h:caption)]").size(), 0u);
  EXPECT_EQ(document_.Find("//h:th[not(@scope)]").size(), 0u);
  EXPECT_EQ(document_.Find("/h:html[@lang]").size(), 1u);
  // What is referred to is there, once.
  for (const std::string& target : document_.Find("//@href")) {
    EXPECT_EQ(document_.Find(absl::StrCat("//*[@id='", target.substr(1), "']")).size(), 1u)
        << target;
  }
}

TEST_P(PageOfHost, KeepsNamesInTheirPlace) {
  EXPECT_FALSE(absl::StrContains(page_, "<script"));
  const std::string all = document_.All("//h:details/h:summary/h:h3/h:bdi");
  EXPECT_TRUE(absl::StrContains(all, "</title><script>alert(1)</script>\"'&?")) << all;
}

TEST(Page, TellsDomainsOfOneNameApart) {
  std::vector<Sample> samples = MadeSamples({}, 10);
  for (Sample& sample : samples) sample.domains[3].name = sample.domains[2].name = "twin";
  const Document document(PageOf(samples));
  const std::string names = document.All("//h:th[@class='name']");
  EXPECT_TRUE(absl::StrContains(names, "twin\n")) << names;
  EXPECT_TRUE(absl::StrContains(names, "twin (5)\n")) << names;
}

TEST(Page, TellsOfTimeThatNobodyRecorded) {
  std::vector<Sample> samples = MadeSamples({}, 40);
  samples.erase(samples.begin() + 10, samples.begin() + 30);
  const absl::StatusOr<Summary> summary = Summarize(samples);
  ASSERT_TRUE(summary.ok());
  EXPECT_TRUE(std::any_of(summary->used_over_time.begin(), summary->used_over_time.end(),
                          [](double used) { return used < 0; }));
  const Document document(PageOf(samples));
  EXPECT_TRUE(
      absl::StrContains(document.All("//h:section[@aria-labelledby='incidents']"), "Not recorded"));
}

TEST(Page, OfAQuietHostSaysSo) {
  const Document document(PageOf(MadeSamples({}, 15)));
  EXPECT_TRUE(
      absl::StrContains(document.All("//h:section[@aria-labelledby='incidents']"), "None."));
  EXPECT_TRUE(absl::StrContains(document.All("//h:dl[@class='tiles']"), "Held"));
}

TEST(Summary, OfNothingIsAnError) { EXPECT_TRUE(absl::IsInvalidArgument(Summarize({}).status())); }

TEST(Summary, HasPercentilesOfWaits) {
  std::vector<Sample> samples = MadeSamples({.domains = 1}, 100);
  const auto percentiles = [&] { return Summarize(samples)->domains[0].wait; };
  const auto bound = [](unsigned bucket) { return FromNs(ghost_wait_bound(bucket)); };
  EXPECT_EQ(percentiles().p50, bound(3));
  EXPECT_EQ(percentiles().p90, bound(3));
  EXPECT_EQ(percentiles().p99, bound(8));
  // Over all samples, and not the mean of each one's.
  for (int i = 0; i < 50; ++i) samples[i].domains[0].waits = {};
  for (int i = 0; i < 10; ++i) samples[i].domains[0].waits[0] = 1'000;
  EXPECT_EQ(percentiles().p50, bound(0));
  EXPECT_EQ(percentiles().p90, bound(3));
  for (Sample& sample : samples) sample.domains[0].waits[GHOST_WAIT_BUCKETS - 1] = 1'000;
  EXPECT_EQ(percentiles().p50, Duration::max());
  for (Sample& sample : samples) sample.domains[0].waits = {};
  EXPECT_EQ(percentiles().p99, Duration(0));
}

TEST(Summary, AddsUpWhatSamplesSay) {
  const std::vector<Sample> samples = MadeSamples({.cpus = 8, .domains = 3}, 250);
  const absl::StatusOr<Summary> summary = Summarize(samples);
  ASSERT_TRUE(summary.ok());
  double used = 0;
  for (const Sample& sample : samples) {
    for (const DomainSample& domain : sample.domains) used += 10 * domain.used;
  }
  EXPECT_NEAR(summary->used_s, used, 1e-6);
  EXPECT_EQ(summary->slices(), kMostSlices);
  double over_time = 0;
  for (const double mean : summary->used_over_time)
    over_time += mean * summary->seconds / static_cast<double>(kMostSlices);
  EXPECT_NEAR(over_time, used, 1e-6 * used);
}

}  // namespace
}  // namespace corral::report
